//! `flyball top`: the event loop. It leaves the terminal as it found it, and keeps the last
//! picture, marked as old, when the daemon does not answer.

mod screen;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::status::leader_line;
use crate::cli::{Client, Top};
use crate::failure::Failure;
use screen::{Answer, Screen};

/// How often the daemon is asked.
const LOOK: Duration = Duration::from_secs(1);
/// How long the thread that reads keys may go without seeing that nobody listens.
const KEYS: Duration = Duration::from_millis(200);

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Up,
    Down,
    Again,
    Quit,
}

pub(crate) async fn top(options: Top) -> Result<ExitCode, Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::new("standard output is not a terminal")
            .hint("`flyball status` prints the same once"));
    }
    // The first answer before the screen is taken: a daemon that is not there is said plainly.
    let first = ask(&options.client).await?;
    let terminal = ratatui::try_init()?;
    let ended = watch(terminal, &options.client, first).await;
    ratatui::try_restore()?;
    ended.map(|()| ExitCode::SUCCESS)
}

async fn watch(
    mut terminal: DefaultTerminal,
    client: &Client,
    first: Answer,
) -> Result<(), Failure> {
    let mut screen = Screen::new(client.daemon.clone());
    screen.answered(first);
    let (pressed, mut keys) = mpsc::channel(16);
    std::thread::spawn(move || read_keys(&pressed));
    let (told, mut answers) = mpsc::channel(1);
    let asking = ask_again_and_again(client, &told);
    tokio::pin!(asking);
    loop {
        terminal.draw(|frame| screen.draw(frame))?;
        tokio::select! {
            key = keys.recv() => match key {
                None | Some(Key::Quit) => return Ok(()),
                Some(Key::Up) => screen.choose(-1),
                Some(Key::Down) => screen.choose(1),
                Some(Key::Again) => {}
            },
            Some(answer) = answers.recv() => match answer {
                Ok(answer) => screen.answered(answer),
                Err(failure) => screen.unanswered(&failure),
            },
            () = &mut asking => {}
        }
    }
}

/// Beside the keys, so that a daemon that hangs does not keep anybody from leaving.
async fn ask_again_and_again(client: &Client, told: &mpsc::Sender<Result<Answer, Failure>>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if told.send(ask(client).await).await.is_err() {
            return;
        }
    }
}

async fn ask(client: &Client) -> Result<Answer, Failure> {
    let services = client.get("/api/v1/services").await?;
    let leadership = leader_line(&client.get("/api/v1/leader").await?);
    Ok(Answer { services, leadership })
}

/// Reads keys until the receiver or the terminal is gone.
fn read_keys(pressed: &mpsc::Sender<Key>) {
    while !pressed.is_closed() {
        let read = event::poll(KEYS).and_then(|some| some.then(event::read).transpose());
        let key = match read {
            Ok(Some(event)) => meaning(&event),
            Ok(None) => None,
            Err(_) => Some(Key::Quit),
        };
        if let Some(key) = key
            && pressed.blocking_send(key).is_err()
        {
            return;
        }
    }
}

fn meaning(event: &Event) -> Option<Key> {
    let Event::Key(key) = event else { return Some(Key::Again) };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Down),
        _ => None,
    }
}
