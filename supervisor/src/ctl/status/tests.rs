use impetus_proto::supervisor::{EntranceStatus, LoadTimes, ModelStatus};

use super::*;

fn reply() -> StatusReply {
    let ready = WorkerStatus {
        id: "gguf-1".into(),
        format: "gguf".into(),
        model: "impetus-tiny".into(),
        state: "ready".into(),
        pid: 4711,
        restarts: 1,
        last_exit: "killed by SIGKILL".into(),
        rss_bytes: 98 << 20,
        slots_busy: 2,
        slots_total: 4,
        uptime_s: 75,
        leases: 2,
        footprint_bytes: 100 << 20,
        peak_bytes: 99 << 20,
        limit_bytes: 164 << 20,
        limited_by: "cgroup v2".into(),
        sandbox: "landlock 7, seccomp".into(),
        prefix_bytes: 20 << 20,
        prefix_room_bytes: 64 << 20,
        load: Some(LoadTimes { room_ms: 1500, standby_ms: 0, open_ms: 40, load_ms: 360 }),
        draft: "tiny-draft".into(),
        ..WorkerStatus::default()
    };
    let standby = WorkerStatus {
        id: "gguf-2".into(),
        format: "gguf".into(),
        state: "standby".into(),
        detail: "starting".into(),
        pid: 4712,
        sandbox: "none: the kernel has no landlock".into(),
        ..WorkerStatus::default()
    };
    let backoff = WorkerStatus {
        id: "gguf-3".into(),
        format: "gguf".into(),
        model: "other".into(),
        state: "backoff".into(),
        detail: "start 2 in 0.4 s".into(),
        last_exit: "exited with code 4".into(),
        ..WorkerStatus::default()
    };
    let next = WorkerStatus {
        id: "gguf-4".into(),
        format: "gguf".into(),
        model: "impetus-tiny".into(),
        state: "loading".into(),
        detail: "40 %".into(),
        pid: 4713,
        role: "next".into(),
        ..WorkerStatus::default()
    };
    StatusReply {
        gateway: Some(GatewayStatus {
            pid: 4710,
            state: "ready".into(),
            listen: "127.0.0.1:8080".into(),
            tls: true,
            rss_bytes: 9 << 20,
            entrances: [("gateway", "127.0.0.1:8080"), ("ollama", "127.0.0.1:11434")]
                .map(|(name, listen)| EntranceStatus { name: name.into(), listen: listen.into() })
                .into(),
            ..GatewayStatus::default()
        }),
        workers: vec![ready, standby, backoff, next],
        models: vec![
            ModelStatus {
                name: "impetus-tiny".into(),
                format: "gguf".into(),
                state: "ready".into(),
                path: "/models/impetus-tiny.gguf".into(),
                size_bytes: 10_600_000,
                ..ModelStatus::default()
            },
            ModelStatus {
                name: "half".into(),
                format: "candle".into(),
                state: "broken".into(),
                path: "/models/half".into(),
                detail: "it is cut".into(),
                ..ModelStatus::default()
            },
        ],
        uptime_s: 3_700,
        supervisor_pid: 4709,
        version: "0.1.0".into(),
        exits: Vec::new(),
        pools: vec![
            PoolStatus {
                name: "ram".into(),
                limit_bytes: 12 << 30,
                placed_bytes: 100 << 20,
                total_bytes: 16 << 30,
                available_bytes: 14 << 30,
            },
            PoolStatus { name: "cuda0".into(), limit_bytes: 8 << 30, ..PoolStatus::default() },
        ],
    }
}

#[test]
fn for_people() {
    insta::assert_snapshot!(text(&reply(), true), @r"
    supervisor 0.1.0, pid 4709, up 1 h 1 min
    gateway ready on https://127.0.0.1:8080 and https://127.0.0.1:11434 (ollama), pid 4710, 9.0 MiB
    ram: 100.0 MiB of 12.0 GiB placed; the machine has 14.0 GiB of 16.0 GiB available
    cuda0: 0 B of 8.0 GiB placed

    WORKER  FORMAT  MODEL         STATE    PID   SLOTS  LEASES  MEMORY                UP          RESTARTS  DETAIL
    gguf-1  gguf    impetus-tiny  ready    4711  2/4    2       98.0 MiB / 164.0 MiB  1 min 15 s  1         last exit: killed by SIGKILL
    gguf-2  gguf    -             standby  4712  -      0       -                     0 s         0         starting
    gguf-3  gguf    other         backoff  -     -      0       -                     -           0         start 2 in 0.4 s; last exit: exited with code 4
    gguf-4  gguf    impetus-tiny  loading  4713  -      0       -                     0 s         0         next; 40 %

    WORKER  FOOTPRINT  PEAK      LIMIT      ENFORCED BY  SANDBOX
    gguf-1  100.0 MiB  99.0 MiB  164.0 MiB  cgroup v2    landlock 7, seccomp
    gguf-2  -          -         -          -            none: the kernel has no landlock
    gguf-3  -          -         -          -            -
    gguf-4  -          -         -          -            -

    MODEL         FORMAT  STATE   SIZE      PATH                       DETAIL
    impetus-tiny  gguf    ready   10.1 MiB  /models/impetus-tiny.gguf
    half          candle  broken  -         /models/half               it is cut
    ");
    assert!(!text(&reply(), false).contains("SANDBOX"), "only when it is asked for");
}

#[test]
fn for_programs() {
    insta::assert_snapshot!(json::pretty(&reply()).unwrap(), @r#"
    {
      "gateway": {
        "pid": 4710,
        "state": "ready",
        "listen": "127.0.0.1:8080",
        "url": "https://127.0.0.1:8080",
        "entrances": [
          {
            "name": "gateway",
            "listen": "127.0.0.1:8080",
            "url": "https://127.0.0.1:8080"
          },
          {
            "name": "ollama",
            "listen": "127.0.0.1:11434",
            "url": "https://127.0.0.1:11434"
          }
        ]
      },
      "workers": [
        {
          "id": "gguf-1",
          "format": "gguf",
          "model": "impetus-tiny",
          "state": "ready",
          "detail": null,
          "pid": 4711,
          "restarts": 1,
          "last_exit": "killed by SIGKILL",
          "rss_bytes": 102760448,
          "slots": {
            "busy": 2,
            "total": 4
          },
          "uptime_s": 75,
          "leases": 2,
          "role": null,
          "footprint_bytes": 104857600,
          "peak_bytes": 103809024,
          "limit_bytes": 171966464,
          "limited_by": "cgroup v2",
          "sandbox": "landlock 7, seccomp",
          "prefix_bytes": 20971520,
          "prefix_room_bytes": 67108864,
          "load": {
            "room_ms": 1500,
            "standby_ms": 0,
            "open_ms": 40,
            "load_ms": 360
          },
          "draft": "tiny-draft"
        },
        {
          "id": "gguf-2",
          "format": "gguf",
          "model": null,
          "state": "standby",
          "detail": "starting",
          "pid": 4712,
          "restarts": 0,
          "last_exit": null,
          "rss_bytes": null,
          "slots": {
            "busy": null,
            "total": null
          },
          "uptime_s": 0,
          "leases": 0,
          "role": null,
          "footprint_bytes": null,
          "peak_bytes": null,
          "limit_bytes": null,
          "limited_by": null,
          "sandbox": "none: the kernel has no landlock",
          "prefix_bytes": null,
          "prefix_room_bytes": null,
          "load": null,
          "draft": null
        },
        {
          "id": "gguf-3",
          "format": "gguf",
          "model": "other",
          "state": "backoff",
          "detail": "start 2 in 0.4 s",
          "pid": null,
          "restarts": 0,
          "last_exit": "exited with code 4",
          "rss_bytes": null,
          "slots": {
            "busy": null,
            "total": null
          },
          "uptime_s": null,
          "leases": 0,
          "role": null,
          "footprint_bytes": null,
          "peak_bytes": null,
          "limit_bytes": null,
          "limited_by": null,
          "sandbox": null,
          "prefix_bytes": null,
          "prefix_room_bytes": null,
          "load": null,
          "draft": null
        },
        {
          "id": "gguf-4",
          "format": "gguf",
          "model": "impetus-tiny",
          "state": "loading",
          "detail": "40 %",
          "pid": 4713,
          "restarts": 0,
          "last_exit": null,
          "rss_bytes": null,
          "slots": {
            "busy": null,
            "total": null
          },
          "uptime_s": 0,
          "leases": 0,
          "role": "next",
          "footprint_bytes": null,
          "peak_bytes": null,
          "limit_bytes": null,
          "limited_by": null,
          "sandbox": null,
          "prefix_bytes": null,
          "prefix_room_bytes": null,
          "load": null,
          "draft": null
        }
      ],
      "models": [
        {
          "name": "impetus-tiny",
          "format": "gguf",
          "state": "ready",
          "path": "/models/impetus-tiny.gguf",
          "size_bytes": 10600000,
          "detail": null
        },
        {
          "name": "half",
          "format": "candle",
          "state": "broken",
          "path": "/models/half",
          "size_bytes": 0,
          "detail": "it is cut"
        }
      ],
      "pools": [
        {
          "name": "ram",
          "limit_bytes": 12884901888,
          "placed_bytes": 104857600,
          "total_bytes": 17179869184,
          "available_bytes": 15032385536
        },
        {
          "name": "cuda0",
          "limit_bytes": 8589934592,
          "placed_bytes": 0,
          "total_bytes": null,
          "available_bytes": null
        }
      ]
    }
    "#);
}
