//! Lives here: the operator's hand on binds, through the listener.
//! Never here: what a bind does with a command (`carrier`).

use super::*;

#[tokio::test]
async fn binds_are_commanded_until_the_restart_and_it_is_audited() {
    let mut house = House::open(TOKEN).await;
    let ask = |command: &str, value: Option<u32>| json!({"bind": "two/1", "command": command, "value": value, "reason": "a test"});
    let dry = json!({"bind": "two/1", "command": "down", "dry_run": true});
    let (status, told) = house.json("POST", "/admin/v1/binds", &dry).await;
    assert_eq!((status, &told["dry_run"]), (200, &json!(true)), "{told}");
    assert!(
        house.wanted.try_recv().is_err(),
        "a dry run changes nothing"
    );
    for (body, command, undo) in [
        (
            ask("down", None),
            BindCommand::Down,
            json!("mnara ctl binds up two/1"),
        ),
        (
            ask("rebind", None),
            BindCommand::Rebind,
            json!("mnara ctl binds down two/1"),
        ),
        (
            ask("set_tps", Some(20)),
            BindCommand::SetTps(Some(20)),
            json!("mnara ctl binds set-tps two/1 default"),
        ),
        (
            ask("set_window", None),
            BindCommand::SetWindow(None),
            Value::Null,
        ),
        (
            ask("set_tps", None),
            BindCommand::SetTps(None),
            json!("mnara ctl binds set-tps two/1 20"),
        ),
        (
            ask("set_tps", Some(30)),
            BindCommand::SetTps(Some(30)),
            json!("mnara ctl binds set-tps two/1 default"),
        ),
    ] {
        let (status, told) = house.json("POST", "/admin/v1/binds", &body).await;
        assert_eq!((status, &told["undo"]), (200, &undo), "{told}");
        assert_eq!(house.wanted.recv().await.unwrap(), command);
    }
    let (_, told) = house.json("GET", "/admin/v1/binds", "").await;
    assert_eq!(told["binds"][0]["until_restart"], "tps 30", "{told}");

    // The bind looks at one command at a time.
    let (status, _) = house.json("POST", "/admin/v1/binds", ask("up", None)).await;
    assert_eq!(status, 200);
    let (status, told) = house
        .json("POST", "/admin/v1/binds", ask("down", None))
        .await;
    assert_eq!(status, 409, "{told}");
    let (_, told) = house.json("GET", "/admin/v1/audit", "").await;
    let lines = told["audit"].as_array().unwrap();
    assert_eq!(lines.len(), 7, "what was refused changed nothing: {told}");
    assert_eq!(lines[0]["action"], "binds.up");
    assert_eq!(lines[0]["detail"]["reason"], "a test");
    house.close().await;
}

#[tokio::test]
async fn wrong_commands_to_binds_are_refused_with_their_reason() {
    let house = House::open(TOKEN).await;
    for (body, status, says) in [
        (json!({"bind": "six/1", "command": "up"}), 404, "ctl binds"),
        (
            json!({"bind": "two/1", "command": "explode"}),
            400,
            "explode",
        ),
        (
            json!({"bind": "two/1", "command": "up", "value": 1}),
            400,
            "set_tps",
        ),
        (
            json!({"bind": "two/1", "command": "set_tps", "value": 0}),
            400,
            "1 to",
        ),
        (
            json!({"bind": "two/1", "command": "set_window", "value": 10_001}),
            400,
            "1 to 10000",
        ),
        (
            json!({"bind": "two/1", "command": "up", "odd": 1}),
            400,
            "odd",
        ),
    ] {
        let (found, told) = house.json("POST", "/admin/v1/binds", &body).await;
        assert_eq!(found, status, "{body} {told}");
        assert!(told["message"].as_str().unwrap().contains(says), "{told}");
    }
    house.close().await;
}
