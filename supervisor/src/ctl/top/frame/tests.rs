use impetus_proto::supervisor::ModelStatus;
use tokio::time::Instant;

use super::*;

fn reply(completion_tokens: u64) -> StatusReply {
    let ready = WorkerStatus {
        id: "gguf-1".into(),
        model: "impetus-tiny".into(),
        state: "ready".into(),
        pid: 4711,
        restarts: 1,
        last_exit: "killed by SIGKILL".into(),
        rss_bytes: 98 << 20,
        slots_busy: 2,
        slots_total: 4,
        waiting: 1,
        uptime_s: 75,
        footprint_bytes: 100 << 20,
        limit_bytes: 164 << 20,
        prompt_tokens: 1000,
        completion_tokens,
        ..WorkerStatus::default()
    };
    let standby =
        WorkerStatus { id: "gguf-2".into(), state: "standby".into(), pid: 4712, ..WorkerStatus::default() };
    let dead = WorkerStatus {
        id: "gguf-3".into(),
        model: "a-model-with-a-name-that-is-long".into(),
        state: "backoff".into(),
        detail: "start 2 in 0.4 s".into(),
        last_exit: "exited with \x1b[2Jcode 4".into(),
        ..WorkerStatus::default()
    };
    StatusReply {
        gateway: Some(GatewayStatus {
            pid: 4710,
            state: "ready".into(),
            listen: "127.0.0.1:8080".into(),
            rss_bytes: 9 << 20,
            ..GatewayStatus::default()
        }),
        workers: vec![ready, standby, dead],
        models: vec![ModelStatus::default(), ModelStatus::default()],
        uptime_s: 3_700,
        version: "0.1.0".into(),
        pools: vec![PoolStatus {
            name: "ram".into(),
            limit_bytes: 12 << 30,
            placed_bytes: 3 << 30,
            total_bytes: 16 << 30,
            available_bytes: 9 << 30,
        }],
        ..StatusReply::default()
    }
}

fn view() -> View {
    let (mut view, zero) = (View::default(), Instant::now());
    view.take_in(reply(100), zero);
    view.take_in(reply(350), zero + Duration::from_secs(2));
    view
}

fn draw(view: &View, columns: u16, rows: u16) -> String {
    let lines = lines(view, Size { columns, rows });
    assert_eq!(lines.len(), usize::from(rows), "{columns}x{rows}");
    assert!(lines.iter().all(|line| line.text.chars().count() <= usize::from(columns)), "{columns}x{rows}");
    let mark = |style| match style {
        Style::Plain => '|',
        Style::Bold => '#',
        Style::Chosen => '>',
    };
    lines.iter().fold(String::new(), |text, line| text + &format!("{}{}\n", mark(line.style), line.text))
}

#[test]
fn the_usual_terminal_holds_it() {
    insta::assert_snapshot!(draw(&view(), 80, 14), @r"
    |impetus 0.1.0, up 1 h 1 min; gateway ready on http://127.0.0.1:8080, 9.0 MiB
    |125.0 tokens/s out, 0.0 in; 2 of 4 slots busy, 1 waiting; 1 of 2 models loaded
    |ram   [=====...............] 3.0 GiB of 12.0 GiB placed, 9.0 GiB available
    |
    #WORKER  MODEL           STATE    SLOTS  WAIT  OUT/S  IN/S  MEMORY    RESTARTS
    >gguf-1  impetus-tiny    ready    2/4    1     125.0  0.0   98.0 MiB  1
    |gguf-2  -               standby  -      0     -      -     -         0
    |gguf-3  a-model-with-…  backoff  -      0     -      -     -         0
    |
    |
    |
    |
    |gguf-1; up 1 min 15 s; footprint 100.0 MiB; limit 164.0 MiB; last exit killed b…
    #q ends, arrows choose, s sorts (by worker)
    ");
}

#[test]
fn a_program_gets_all_of_it() {
    insta::assert_snapshot!(whole(&view()), @r"
    impetus 0.1.0, up 1 h 1 min; gateway ready on http://127.0.0.1:8080, 9.0 MiB
    125.0 tokens/s out, 0.0 in; 2 of 4 slots busy, 1 waiting; 1 of 2 models loaded
    ram   [=====...............] 3.0 GiB of 12.0 GiB placed, 9.0 GiB available

    WORKER  MODEL                             STATE    SLOTS  WAIT  OUT/S  IN/S  MEMORY    RESTARTS  LAST EXIT
    gguf-1  impetus-tiny                      ready    2/4    1     125.0  0.0   98.0 MiB  1         killed by SIGKILL
    gguf-2  -                                 standby  -      0     -      -     -         0         -
    gguf-3  a-model-with-a-name-that-is-long  backoff  -      0     -      -     -         0         exited with  [2Jcode 4
    ");
}

#[test]
fn any_terminal_is_filled_and_none_is_overrun() {
    let mut view = view();
    for chosen in 0..3 {
        view.chosen = chosen;
        for (columns, rows) in [(80, 24), (200, 60), (40, 10), (10, 5), (1, 1), (0, 0), (80, 2)] {
            draw(&view, columns, rows);
        }
        let small = draw(&view, 40, 8);
        assert!(small.lines().any(|line| line.starts_with('>')), "the chosen one is to be seen: {small}");
    }
    view.lose();
    assert!(draw(&view, 80, 24).starts_with("|the server does not answer; trying again"));
    assert!(draw(&View::default(), 80, 24).contains("no workers"));
}
