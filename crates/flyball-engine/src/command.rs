//! Whether a command passes its program the port to serve on. Otherwise the program listens on a
//! port that nothing connects to, and the replica never becomes ready.

use std::fmt;

/// What stands for the port in a command.
pub const PLACEHOLDER: &str = "{port}";
/// Programs that replace `$PORT` by the variable's value.
const SHELLS: [&str; 7] = ["sh", "ash", "bash", "busybox", "dash", "ksh", "zsh"];
/// How a variable is written in shells and in files that people copy commands from.
const VARIABLES: [&str; 4] = ["${PORT}", "$PORT", "$(PORT)", "%PORT%"];

/// A command that probably does not tell its program the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortFault {
    /// A word that looks like `{port}` and is not.
    Misspelt(String),
    /// A variable that is not replaced: there is no shell.
    Unexpanded(&'static str),
    /// Nothing names the port. The program may still read the variable `PORT`.
    Absent,
}

impl PortFault {
    /// Looks at a command; `None` if it names the port, or hands it to a shell.
    pub fn of(command: &[String]) -> Option<Self> {
        if command.iter().any(|word| word.contains(PLACEHOLDER)) {
            return None;
        }
        if let Some(found) = command.iter().flat_map(|word| braced(word)).find(|it| is_meant(it)) {
            return Some(Self::Misspelt(format!("{{{found}}}")));
        }
        let variable = |name: &&&str| command.iter().any(|word| word.contains(**name));
        match VARIABLES.iter().find(variable) {
            Some(_) if has_shell(command) => None,
            Some(variable) => Some(Self::Unexpanded(variable)),
            None => Some(Self::Absent),
        }
    }

    /// Whether it is a mistake for certain; a command without the port may be right.
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Misspelt(_) | Self::Unexpanded(_) => true,
            Self::Absent => false,
        }
    }

    /// What to write.
    pub fn hint(&self) -> String {
        match self {
            Self::Misspelt(_) => format!("write {PLACEHOLDER}"),
            Self::Unexpanded(_) => format!("write {PLACEHOLDER}, or run it with sh -c"),
            Self::Absent => format!(
                "write {PLACEHOLDER} where the program takes its port, unless it reads the variable PORT"
            ),
        }
    }
}

impl fmt::Display for PortFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misspelt(found) => {
                write!(f, "the command contains {found}, which is not replaced with the port")
            }
            Self::Unexpanded(variable) => {
                write!(f, "the command contains {variable}, which no shell replaces with the port")
            }
            Self::Absent => write!(f, "the command does not contain the port of a replica"),
        }
    }
}

/// What stands between braces in `word`; not the name of a variable in `${NAME}`.
fn braced(word: &str) -> impl Iterator<Item = &str> {
    let opened = word.match_indices('{').filter(|(at, _)| !word[..*at].ends_with('$'));
    opened.filter_map(|(at, brace)| Some(word[at + brace.len()..].split_once('}')?.0))
}

/// Whether `found` is `port` in other letters, in another order or with one letter wrong.
fn is_meant(found: &str) -> bool {
    let (found, port) = (found.trim().to_ascii_lowercase(), "port");
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    found == port || sorted(&found) == sorted(port) || is_one_letter_off(&found, port)
}

/// Whether one letter more, less or other makes one text of the other.
fn is_one_letter_off(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let same_start = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let pairs = one.iter().rev().zip(other.iter().rev());
    let same_end = pairs.take_while(|(a, b)| a == b).count();
    let (longer, shorter) = (one.len().max(other.len()), one.len().min(other.len()));
    longer - shorter <= 1 && same_start + same_end + 1 >= longer
}

fn has_shell(command: &[String]) -> bool {
    let name = |word: &String| word.rsplit('/').next().unwrap_or_default().to_owned();
    let shell = command.iter().position(|word| SHELLS.contains(&name(word).as_str()));
    shell.is_some_and(|at| command.iter().skip(at + 1).any(|word| is_script(word)))
}

/// `-c`, alone or among other letters: `-ec`, `-lc`.
fn is_script(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.contains('c'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(command: &str) -> Option<PortFault> {
        PortFault::of(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_command_that_names_the_port_or_leaves_it_to_a_shell_is_right() {
        for right in [
            "./server --port {port}",
            "./server --listen=127.0.0.1:{port} --tag {prt}",
            "sh -c exec,./server,$PORT",
            "/bin/bash -lc ./server,--port,${PORT}",
            "env A=1 sh -ec ./server,$PORT",
        ] {
            assert_eq!(fault(right), None, "{right}");
        }
    }

    #[test]
    fn a_misspelt_placeholder_is_named() {
        for (command, found) in [
            ("./server --port {prt}", "{prt}"),
            ("./server --port={Port}", "{Port}"),
            ("./server 0.0.0.0:{prot}", "{prot}"),
            ("./server {ports}", "{ports}"),
            ("./server {pport}", "{pport}"),
            ("sh -c ./server,{PORT}", "{PORT}"),
        ] {
            let fault = fault(command).unwrap();
            assert_eq!(fault, PortFault::Misspelt(found.to_owned()), "{command}");
            assert!(fault.is_certain() && fault.hint().contains(PLACEHOLDER));
        }
    }

    #[test]
    fn a_variable_without_a_shell_is_named_and_other_braces_are_left_alone() {
        assert_eq!(fault("./server --port ${PORT}"), Some(PortFault::Unexpanded("${PORT}")));
        assert_eq!(fault("bash server.sh $PORT"), Some(PortFault::Unexpanded("$PORT")));
        for absent in ["./server", "awk {print}", "./server {host}", "./server --json {\"a\":1}"] {
            assert_eq!(fault(absent), Some(PortFault::Absent), "{absent}");
        }
    }
}
