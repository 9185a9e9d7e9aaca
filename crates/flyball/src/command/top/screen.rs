//! The screen of `flyball top`. Colour never carries meaning alone, and a value that was not
//! measured is a dash, never 0.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState};
use serde_json::Value;

use super::super::status::{
    counted, errors_per_s, notice_line, number, per_second, replica_rows, share, word,
};
use crate::failure::Failure;

/// The widest bar of replicas; a larger pool is drawn to scale.
const BAR_WIDTH: usize = 20;

const KEYS: &str = "   up/down select, q quits   █ ready ▒ starting ░ draining x unhealthy · free";

/// What a daemon answers.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) services: Vec<Value>,
    /// Which of several flyballs is the leader, in words.
    pub(super) leadership: Option<String>,
}

/// What is known, and what is chosen.
pub(super) struct Screen {
    daemon: String,
    known: Answer,
    chosen: usize,
    trouble: Option<String>,
}

impl Screen {
    pub(super) fn new(daemon: String) -> Self {
        Self { daemon, known: Answer::default(), chosen: 0, trouble: None }
    }

    pub(super) fn answered(&mut self, answer: Answer) {
        self.known = answer;
        self.trouble = None;
        self.choose(0);
    }

    pub(super) fn unanswered(&mut self, failure: &Failure) {
        let text = failure.to_string();
        self.trouble = Some(text.lines().next().unwrap_or_default().to_owned());
    }

    /// Moves the choice, without leaving the list.
    pub(super) fn choose(&mut self, by: isize) {
        let last = self.known.services.len().saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(by).min(last);
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let rows = u16::try_from(self.known.services.len()).unwrap_or(u16::MAX).saturating_add(1);
        let half = (frame.area().height / 2).max(4);
        let leadership = self.known.leadership.as_deref();
        let [head, below, table, detail] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(leadership.map_or(0, |_| 1)),
            Constraint::Length(rows.min(half)),
            Constraint::Fill(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.head(), head);
        frame.render_widget(Line::from(leadership.unwrap_or_default()), below);
        let mut state = TableState::new().with_selected(Some(self.chosen));
        frame.render_stateful_widget(self.table(), table, &mut state);
        if let Some(view) = self.known.services.get(self.chosen) {
            draw_service(frame, detail, view);
        }
    }

    fn head(&self) -> Line<'_> {
        let mut line = vec![Span::from("flyball ").bold(), Span::from(self.daemon.as_str())];
        match &self.trouble {
            None => line.push(Span::from(KEYS).dim()),
            Some(why) => {
                line.push(Span::from(format!("   ! outdated: {why}")).fg(Color::Red).bold());
            }
        }
        Line::from(line)
    }

    fn table(&self) -> Table<'_> {
        let head =
            ["  SERVICE", "REPLICAS", "WANTED", "CPU", "ARRIVALS", "ERRORS", "WAITING", "STATE"];
        let places =
            self.known.services.iter().filter_map(|view| view.pointer("/bounds/max")?.as_u64());
        let bar = places.max().unwrap_or(0).clamp(4, BAR_WIDTH as u64);
        let name =
            self.known.services.iter().map(|view| word(view, "name").len() + 2).max().unwrap_or(0);
        let widths = [
            Constraint::Length(u16::try_from(name.clamp(9, 30)).unwrap_or(30)),
            Constraint::Length(u16::try_from(bar + 4).unwrap_or(24)),
            Constraint::Length(8),
            Constraint::Length(5),
            Constraint::Length(9),
            Constraint::Length(8),
            Constraint::Length(7),
            Constraint::Fill(1),
        ];
        let rows =
            self.known.services.iter().enumerate().map(|(i, view)| row(view, i == self.chosen));
        Table::new(rows, widths)
            .header(Row::new(head).style(Style::new().add_modifier(Modifier::DIM)))
            .row_highlight_style(Style::new().add_modifier(Modifier::BOLD))
    }
}

fn row(view: &Value, chosen: bool) -> Row<'static> {
    let seen = view.pointer("/decision/signals").unwrap_or(&Value::Null);
    let decision = view.get("decision").unwrap_or(&Value::Null);
    let mark = if chosen { "> " } else { "  " };
    let bounds = view.get("bounds").unwrap_or(&Value::Null);
    let wanted =
        format!("{} {}..{}", word(decision, "desired"), word(bounds, "min"), word(bounds, "max"));
    let balanced = !seen.get("balancer_age_ms").unwrap_or(&Value::Null).is_null();
    let waiting = if balanced { word(seen, "waiting") } else { "-".to_owned() };
    let state = state(view);
    let pressing = state.starts_with('!');
    Row::new([
        Cell::from(format!("{mark}{}", word(view, "name"))),
        Cell::from(bar(view, seen, bounds)),
        Cell::from(wanted),
        Cell::from(share(seen.get("mean_cpu"))),
        Cell::from(per_second(number(seen, "arrivals_per_s"))),
        Cell::from(per_second(errors_per_s(seen))),
        Cell::from(waiting),
        Cell::from(state).style(if pressing { Style::new().fg(Color::Red) } else { Style::new() }),
    ])
}

/// `████▒▒░x··`: ready, starting, draining, unhealthy, free up to the maximum.
fn bar(view: &Value, seen: &Value, bounds: &Value) -> Line<'static> {
    let of = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    if seen.get("engine_age_ms").is_none_or(Value::is_null) {
        let last = view.get("last_seen").is_some_and(Value::is_object);
        return Line::from(if last { counted(view, "ready") } else { "unknown".to_owned() });
    }
    let looks = [
        ("ready", "█", Color::Green),
        ("starting", "▒", Color::Yellow),
        ("draining", "░", Color::Gray),
        ("unhealthy", "x", Color::Red),
    ];
    let there: u64 = looks.iter().map(|(state, ..)| of(seen, state)).sum();
    let places = of(bounds, "max").max(there).max(1);
    let width = places.min(BAR_WIDTH as u64);
    let cells = |count: u64| usize::try_from((count * width).div_ceil(places)).unwrap_or(0);
    let mut line = vec![Span::from(format!("{:>3} ", of(seen, "ready")))];
    let mut drawn = 0;
    for (state, shape, colour) in looks {
        let before = cells(drawn);
        drawn += of(seen, state);
        line.push(Span::from(shape.repeat(cells(drawn) - before)).fg(colour));
    }
    line.push(Span::from("·".repeat(cells(places) - cells(drawn))).dim());
    Line::from(line)
}

/// The most pressing notice, or the count that it scales to; `!` marks what needs attention.
fn state(view: &Value) -> String {
    let notices = view.get("notices").and_then(Value::as_array);
    if let Some(first) = notices.and_then(|all| all.first()) {
        let pressing = first.get("pressing") == Some(&Value::Bool(true));
        return format!("{}{}", if pressing { "! " } else { "" }, word(first, "text"));
    }
    let desired = view.pointer("/decision/desired");
    let ready = view.pointer("/decision/signals/ready");
    match (desired, ready) {
        (Some(to), Some(now)) if to != now => format!("going to {to}"),
        _ => String::new(),
    }
}

fn draw_service(frame: &mut Frame<'_>, area: Rect, view: &Value) {
    let block = Block::new().borders(Borders::TOP).title(format!(
        " {} {} engine, {} balancer, {} policy ",
        word(view, "name"),
        word(view, "engine"),
        word(view, "balancer"),
        view.pointer("/policy/rule").and_then(Value::as_str).unwrap_or("-"),
    ));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let mut words: Vec<Line<'_>> = vec![Line::from(word(view, "summary")).bold()];
    words.push(Line::from(word(view, "why")));
    let notices = view.get("notices").and_then(Value::as_array).into_iter().flatten();
    words.extend(notices.map(|notice| Line::from(format!("* {}", notice_line(view, notice)))));
    let count = u16::try_from(words.len() + 1).unwrap_or(u16::MAX);
    let [above, below] =
        Layout::vertical([Constraint::Length(count), Constraint::Fill(1)]).areas(inside);
    frame.render_widget(Paragraph::new(words), above);
    frame.render_widget(replicas(view), below);
}

fn replicas(view: &Value) -> Table<'static> {
    let mut rows = replica_rows(view).into_iter();
    let head = rows.next().unwrap_or_default();
    let columns = head.len();
    let widths = [
        Constraint::Min(16),
        Constraint::Length(9),
        Constraint::Length(11),
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ];
    Table::new(rows.map(Row::new), widths.into_iter().take(columns))
        .header(Row::new(head).style(Style::new().add_modifier(Modifier::DIM)))
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    fn service(name: &str, notices: &Value) -> Value {
        json!({
            "name": name, "engine": "docker", "balancer": "haproxy", "now_wall_ms": 100_000,
            "summary": "3 replicas ready, 1 starting, going to 4",
            "why": "utilization: 90.0/s -> 4",
            "policy": { "rule": "governor" }, "bounds": { "min": 2, "max": 8 }, "notices": notices,
            "decision": { "desired": 4, "signals": { "ready": 3, "starting": 1, "engine_age_ms": 3,
                "balancer_age_ms": null, "mean_cpu": 0.61, "arrivals_per_s": 90.0, "waiting": 0 } },
            "replicas": [{ "id": "web-1", "state": "ready", "asked_wall_ms": 10_000, "cpu": 0.6,
                "in_flight": null, "address": "10.0.0.7:8080" }],
        })
    }

    #[test]
    fn the_screen_shows_every_service_and_the_chosen_one_in_full() {
        let mut screen = Screen::new("127.0.0.1:7878".to_owned());
        let text = "blind: no trustworthy reading";
        let blind = json!([{ "kind": "blind", "pressing": true, "text": text }]);
        let services = vec![service("shop", &blind), service("web", &json!([]))];
        screen.answered(Answer { services, leadership: None });
        screen.choose(5);
        let mut terminal = Terminal::new(TestBackend::new(105, 11)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let shown = terminal.backend().to_string();
        for text in [
            "  shop",
            "! blind: no trustworthy",
            "> web",
            "3 ███▒····",
            "4 2..8",
            "90.0/s",
            "going to 4",
            " web docker engine, haproxy balancer, governor policy ",
            "utilization: 90.0/s -> 4",
            "web-1",
            "1 min 30 s",
            "10.0.0.7:8080",
        ] {
            assert!(shown.contains(text), "{text} in\n{shown}");
        }
    }

    #[test]
    fn one_that_stands_by_says_so_above_its_services() {
        let mut screen = Screen::new("h:1".to_owned());
        let said = "this flyball is on standby; there is no leader";
        let services = vec![service("web", &json!([]))];
        screen.answered(Answer { services, leadership: Some(said.to_owned()) });
        let mut terminal = Terminal::new(TestBackend::new(60, 9)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let shown = terminal.backend().to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].contains(said) && lines[2].contains("SERVICE"), "{shown}");
    }

    #[test]
    fn what_is_old_is_said_to_be_and_no_service_is_no_trouble() {
        let mut screen = Screen::new("h:1".to_owned());
        screen.choose(-1);
        screen.unanswered(&Failure::new("cannot reach flyball at h:1"));
        let mut terminal = Terminal::new(TestBackend::new(60, 4)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        assert!(terminal.backend().to_string().contains("! outdated: error: cannot reach flyball"));
    }
}
