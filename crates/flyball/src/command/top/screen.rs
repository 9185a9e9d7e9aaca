//! The screen of `flyball top`. Colour never carries meaning alone, and a value that was not
//! measured is a dash, never 0.

use flyball_web::{Service, ServiceView};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState};

use super::super::status::{
    counted, errors_per_s, notice_line, or_dash, per_second, replica_rows, share, waiting,
};
use crate::failure::Failure;
use crate::plain::one_line;

/// The widest bar of replicas; a larger pool is drawn to scale.
const BAR_WIDTH: usize = 20;

const KEYS: &str = "   up/down select, q quits   █ ready ▒ starting ░ draining x unhealthy · free";

/// What a daemon answers.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) services: Vec<Service>,
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
        if let Some(service) = self.known.services.get(self.chosen) {
            draw_service(frame, detail, service);
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
        let views = || self.known.services.iter().map(|service| &service.view);
        let places = views().map(|view| view.bounds.max as usize).max();
        let bar = places.unwrap_or(0).clamp(4, BAR_WIDTH);
        let name = views().map(|view| one_line(&view.name).len() + 2).max().unwrap_or(0);
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
        let rows = views().enumerate().map(|(i, view)| row(view, i == self.chosen));
        Table::new(rows, widths)
            .header(Row::new(head).style(Style::new().add_modifier(Modifier::DIM)))
            .row_highlight_style(Style::new().add_modifier(Modifier::BOLD))
    }
}

fn row(view: &ServiceView, chosen: bool) -> Row<'static> {
    let signals = view.decision.as_ref().map(|decision| &decision.signals);
    let desired = or_dash(view.decision.as_ref().map(|decision| decision.desired));
    let mark = if chosen { "> " } else { "  " };
    let state = state(view);
    let pressing = state.starts_with('!');
    Row::new([
        Cell::from(format!("{mark}{}", one_line(&view.name))),
        Cell::from(bar(view)),
        Cell::from(format!("{desired} {}..{}", view.bounds.min, view.bounds.max)),
        Cell::from(share(signals.and_then(|signals| signals.mean_cpu))),
        Cell::from(per_second(signals.and_then(|signals| signals.arrivals_per_s))),
        Cell::from(per_second(signals.and_then(errors_per_s))),
        Cell::from(or_dash(signals.and_then(waiting))),
        Cell::from(state).style(if pressing { Style::new().fg(Color::Red) } else { Style::new() }),
    ])
}

/// `████▒▒░x··`: ready, starting, draining, unhealthy, free up to the maximum.
fn bar(view: &ServiceView) -> Line<'static> {
    let signals = view.decision.as_ref().map(|decision| &decision.signals);
    let Some(signals) = signals.filter(|signals| signals.engine_age_ms.is_some()) else {
        let [ready, ..] = counted(view);
        return Line::from(if view.last_seen.is_some() { ready } else { "unknown".to_owned() });
    };
    let looks = [
        (signals.ready, "█", Color::Green),
        (signals.starting, "▒", Color::Yellow),
        (signals.draining, "░", Color::Gray),
        (signals.unhealthy, "x", Color::Red),
    ];
    let there: u32 = looks.iter().map(|(count, ..)| count).sum();
    let places = view.bounds.max.max(there).max(1) as usize;
    let width = places.min(BAR_WIDTH);
    let cells = |count: usize| (count * width).div_ceil(places);
    let mut line = vec![Span::from(format!("{:>3} ", signals.ready))];
    let mut drawn = 0;
    for (count, shape, colour) in looks {
        let before = cells(drawn);
        drawn += count as usize;
        line.push(Span::from(shape.repeat(cells(drawn) - before)).fg(colour));
    }
    line.push(Span::from("·".repeat(cells(places) - cells(drawn))).dim());
    Line::from(line)
}

/// The most pressing notice, or the count that it scales to; `!` marks what needs attention.
fn state(view: &ServiceView) -> String {
    if let Some(first) = view.notices.first() {
        return format!("{}{}", if first.pressing { "! " } else { "" }, one_line(&first.text));
    }
    match &view.decision {
        Some(decision) if decision.desired != decision.signals.ready => {
            format!("going to {}", decision.desired)
        }
        _ => String::new(),
    }
}

fn draw_service(frame: &mut Frame<'_>, area: Rect, service: &Service) {
    let view = &service.view;
    let block = Block::new().borders(Borders::TOP).title(format!(
        " {} {} engine, {} balancer, {} policy ",
        one_line(&view.name),
        one_line(&view.engine),
        one_line(&view.balancer),
        view.policy.rule,
    ));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let mut words: Vec<Line<'_>> = vec![Line::from(one_line(&service.summary)).bold()];
    words.push(Line::from(or_dash(service.why.as_deref().map(one_line))));
    let notices = view.notices.iter();
    words.extend(notices.map(|notice| Line::from(format!("* {}", notice_line(view, notice)))));
    let count = u16::try_from(words.len() + 1).unwrap_or(u16::MAX);
    let [above, below] =
        Layout::vertical([Constraint::Length(count), Constraint::Fill(1)]).areas(inside);
    frame.render_widget(Paragraph::new(words), above);
    frame.render_widget(replicas(view), below);
}

fn replicas(view: &ServiceView) -> Table<'static> {
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
    use flyball_core::policy::Bounds;
    use flyball_core::signals::Signals;
    use flyball_web::{Notice, NoticeKind, ReplicaView};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::super::fixture::{replica, service};
    use super::*;

    /// Four are wanted, of which three are ready.
    fn growing(name: &str, notices: Vec<Notice>) -> Service {
        let mut service = service(name);
        service.summary = "3 replicas ready, 1 starting, going to 4".to_owned();
        service.why = Some("utilization: 90.0/s -> 4".to_owned());
        let view = &mut service.view;
        view.bounds = Bounds { min: 2, max: 8 };
        view.notices = notices;
        let address = Some("10.0.0.7:8080".parse().unwrap());
        let replica = ReplicaView { asked_wall_ms: 10_000, address, ..replica("web-1") };
        view.replicas = vec![ReplicaView { cpu: Some(0.6), ..replica }];
        let decision = view.decision.as_mut().unwrap();
        decision.desired = 4;
        decision.signals = Signals {
            ready: 3,
            starting: 1,
            engine_age_ms: Some(3),
            mean_cpu: Some(0.61),
            arrivals_per_s: Some(90.0),
            ..Signals::default()
        };
        service
    }

    #[test]
    fn the_screen_shows_every_service_and_the_chosen_one_in_full() {
        let mut screen = Screen::new("127.0.0.1:7878".to_owned());
        let blind = Notice::new(NoticeKind::Blind, "blind: no trustworthy reading");
        let services = vec![growing("shop", vec![blind]), growing("web", Vec::new())];
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
        let services = vec![growing("web", Vec::new())];
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
