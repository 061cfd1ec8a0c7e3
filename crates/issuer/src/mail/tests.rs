//! Mails, by a folder and by a server that answers from a script.

use std::path::Path;

use tessera_store::DatabaseOptions;
use tessera_testkit::MockClock;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;

fn options(by: By, recipient: Option<&str>) -> MailOptions {
    MailOptions {
        by,
        from: "Tessera <no-reply@example.test>".parse().expect("a mailbox"),
        recipient: recipient.map(|text| text.parse().expect("a mailbox")),
        template: template(Path::new(""), Locale::Fr).expect("ours"),
    }
}

fn notice(to: Option<&str>) -> MailRecord {
    let id = Uuid::now_v7();
    MailRecord {
        id,
        created: MockClock::default().now(),
        owner: "Ada Lovelace".to_owned(),
        address: to.map(str::to_owned),
        name: "Shop {client_id} — été".to_owned(),
        client_id: "shop-1".to_owned(),
        organization: "Acme".to_owned(),
    }
}

fn telemetry() -> Telemetry {
    Telemetry::new(tessera_kit::metrics::Metrics::new("test", "0"))
}

/// A database that is gone with its folder.
async fn store() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("tessera.db").display());
    let store = Database::connect(&DatabaseOptions::new(&url)).await.expect("connected");
    store.migrate().await.expect("migrated");
    store.initialize(tessera_types::Epoch(1)).await.expect("prepared");
    (folder, store)
}

/// Writes mails that somebody means to send for a while, as the creation of a client does.
async fn write(store: &Database, notices: &[MailRecord]) {
    let tx = store.begin().await.expect("begun");
    for notice in notices {
        tx.mails().insert(notice, notice.created.plus(TAKEN)).await.expect("written");
    }
    tx.commit().await.expect("committed");
}

/// The mails that are left.
async fn left(store: &Database) -> Vec<MailRecord> {
    store.mails().take(Timestamp(i64::MAX), Timestamp(0), 100).await.expect("taken")
}

async fn send(options: MailOptions, notices: Vec<MailRecord>) {
    let (_folder, store) = store().await;
    write(&store, &notices).await;
    send_from(&store, options, notices).await;
    assert!(left(&store).await.is_empty(), "each was seen to");
}

async fn send_from(store: &Database, options: MailOptions, notices: Vec<MailRecord>) {
    let clock = Arc::new(MockClock::default());
    let (mailer, mut task) =
        Mailer::new(options, store.clone(), "https://id.example.test".to_owned(), clock, telemetry()).expect("set up");
    task.sender.retries = &[Duration::ZERO];
    let sender = mailer.0.expect("on");
    for notice in notices {
        assert!(sender.try_send(notice).is_ok(), "there is room");
    }
    drop(sender);
    task.run(CancellationToken::new()).await;
}

fn mails(folder: &Path) -> Vec<String> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).expect("a mail")).collect()
}

#[tokio::test]
async fn an_owner_gets_a_mail_in_the_configured_language() {
    let folder = tempfile::tempdir().expect("a folder");
    send(options(By::Folder(folder.path().into()), None), vec![notice(Some("ada@example.test")), notice(None)]).await;
    let mails = mails(folder.path());
    let [mail] = mails.as_slice() else { panic!("one: {mails:?}") };
    assert!(mail.contains("To: \"Ada Lovelace\" <ada@example.test>"), "{mail}");
    assert!(mail.contains("From: Tessera <no-reply@example.test>") || mail.contains("From: \"Tessera\""), "{mail}");
    assert!(mail.contains("shop-1") && mail.contains("Acme") && mail.contains("id.example.test"), "{mail}");
    assert!(mail.contains("Bonjour Ada Lovelace"), "{mail}");
    assert!(mail.contains("@example.test>\r\n") && mail.contains("Message-ID: <"), "{mail}");
}

#[tokio::test]
async fn a_configured_recipient_gets_it_instead() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = options(By::Folder(folder.path().into()), Some("ops@example.test"));
    send(options, vec![notice(Some("ada@example.test")), notice(None)]).await;
    let mails = mails(folder.path());
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().all(|mail| mail.contains("To: ops@example.test") && !mail.contains("ada@example.test")));
}

/// The first mail is turned away for now, the next try is taken.
#[tokio::test]
async fn a_server_that_fails_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("smtp://{}", listener.local_addr().expect("bound"));
    let server = tokio::spawn(async move {
        let mut seen = Vec::new();
        for turn in 0.. {
            let (stream, _) = listener.accept().await.expect("a client");
            seen.extend(session(stream, turn == 0).await);
            if turn == 1 {
                break;
            }
        }
        seen
    });
    let sending = tokio::spawn(send(options(By::Smtp(url), None), vec![notice(Some("ada@example.test"))]));
    let seen = server.await.expect("served");
    sending.await.expect("sent");
    assert!(seen.iter().any(|line| line == "RCPT TO:<ada@example.test>"), "{seen:?}");
    assert_eq!(seen.iter().filter(|line| *line == "DATA").count(), 1, "{seen:?}");
}

/// A server that says this to each `RCPT`, by whom it is for; it never stops.
async fn server_that_says(answer: fn(&str) -> &'static [u8]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("smtp://{}", listener.local_addr().expect("bound"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let said = Arc::clone(&said);
            tokio::spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                let mut data = false;
                writer.write_all(b"220 test\r\n").await.expect("says");
                while let Ok(Some(line)) = lines.next_line().await {
                    said.lock().expect("not poisoned").push(line.clone());
                    let answer: &[u8] = match line.as_str() {
                        "." => b"250 taken\r\n",
                        _ if data => continue,
                        "DATA" => b"354 go on\r\n",
                        line if line.starts_with("RCPT") => answer(line),
                        _ => b"250 ok\r\n",
                    };
                    data = line == "DATA";
                    if writer.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, seen)
}

fn count(seen: &Mutex<Vec<String>>, what: &str) -> usize {
    seen.lock().expect("not poisoned").iter().filter(|line| line.starts_with(what)).count()
}

/// RFC 5321 section 4.2.1.
#[tokio::test]
async fn an_address_refused_for_good_is_not_tried_again_and_holds_nobody_up() {
    let (url, seen) = server_that_says(|line| if line.contains("gone@") { b"550 no\r\n" } else { b"250 ok\r\n" }).await;
    let to = [notice(Some("gone@example.test")), notice(Some("ada@example.test"))];
    send(options(By::Smtp(url), None), to.into()).await;
    assert_eq!((count(&seen, "RCPT TO:<gone@"), count(&seen, "RCPT TO:<ada@")), (1, 1), "{seen:?}");
}

/// Longer than any test.
const LATER: [Duration; 3] = [Duration::from_secs(3600); 3];

/// The wait for a further try is an hour: who waits for it holds nobody up, and a stop does not wait for it.
#[tokio::test]
async fn a_stop_tries_what_is_left_once_more_and_sends_what_waits() {
    let (url, seen) =
        server_that_says(|line| if line.contains("busy@") { b"451 later\r\n" } else { b"250 ok\r\n" }).await;
    let (_folder, store) = store().await;
    let clock = Arc::new(MockClock::default());
    let issuer = "https://id.example.test".to_owned();
    let (mailer, mut task) =
        Mailer::new(options(By::Smtp(url), None), store.clone(), issuer, clock, telemetry()).expect("set up");
    task.sender.retries = &LATER;
    let queue = mailer.0.clone().expect("on");
    let stop = CancellationToken::new();
    let running = tokio::spawn(task.run(stop.clone()));
    let busy = notice(Some("busy@example.test"));
    write(&store, std::slice::from_ref(&busy)).await;
    assert!(queue.try_send(busy.clone()).is_ok());
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    while count(&seen, "RCPT TO:<busy@") == 0 {
        looks.tick().await;
    }
    assert!(queue.try_send(notice(Some("ada@example.test"))).is_ok());
    while count(&seen, ".") == 0 {
        looks.tick().await;
    }
    assert!(queue.try_send(notice(Some("late@example.test"))).is_ok());
    stop.cancel();
    running.await.expect("ends");
    assert_eq!((count(&seen, "RCPT TO:<busy@"), count(&seen, "RCPT TO:<late@")), (2, 1), "{seen:?}");
    assert_eq!(left(&store).await, [busy], "for the next start");
}

/// A server that says nothing: the stop ends, and the mail is kept for the next start.
#[tokio::test]
async fn a_stop_waits_no_longer_than_it_may() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("smtp://{}", listener.local_addr().expect("bound"));
    let (_folder, store) = store().await;
    let clock = Arc::new(MockClock::default());
    let issuer = "https://id.example.test".to_owned();
    let (mailer, mut task) =
        Mailer::new(options(By::Smtp(url), None), store.clone(), issuer, clock, telemetry()).expect("set up");
    task.sender.drain = Duration::from_millis(20);
    let kept = notice(Some("ada@example.test"));
    write(&store, std::slice::from_ref(&kept)).await;
    assert!(mailer.0.clone().expect("on").try_send(kept.clone()).is_ok());
    let stop = CancellationToken::new();
    stop.cancel();
    let waited = tokio::time::timeout(Duration::from_secs(20), task.run(stop)).await;
    assert!(waited.is_ok(), "less than the server's own time");
    assert_eq!(left(&store).await, [kept]);
}

async fn session(stream: tokio::net::TcpStream, busy: bool) -> Vec<String> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut seen = Vec::new();
    writer.write_all(b"220 test\r\n").await.expect("says");
    let mut data = false;
    while let Ok(Some(line)) = lines.next_line().await {
        let answer: &[u8] = match line.as_str() {
            "." => {
                data = false;
                b"250 taken\r\n"
            }
            _ if data => continue,
            "DATA" => {
                data = true;
                b"354 go on\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            line if busy && line.starts_with("MAIL") => b"451 later\r\n",
            _ => b"250 ok\r\n",
        };
        seen.push(line.clone());
        writer.write_all(answer).await.expect("answers");
        if line == "QUIT" || (busy && line.starts_with("MAIL")) {
            break;
        }
    }
    seen
}

/// As after a kill: with its issuer still said to be sending it.
#[tokio::test]
async fn what_the_process_before_left_is_sent_at_the_start_under_its_own_message_id() {
    let (_folder, store) = store().await;
    let mails_at = tempfile::tempdir().expect("a folder");
    let left_behind = notice(Some("ada@example.test"));
    write(&store, std::slice::from_ref(&left_behind)).await;
    for _ in 0..2 {
        let (options, clock) = (options(By::Folder(mails_at.path().into()), None), Arc::new(MockClock::default()));
        let issuer = "https://id.example.test".to_owned();
        let (mailer, mut task) = Mailer::new(options, store.clone(), issuer, clock, telemetry()).expect("set up");
        task.recall().await.expect("read");
        drop(mailer);
        task.run(CancellationToken::new()).await;
        let mails = mails(mails_at.path());
        assert!(mails.len() == 1 && mails[0].contains(&format!("Message-ID: <{}@", left_behind.id)), "{mails:?}");
        assert!(left(&store).await.is_empty(), "once sent, it is not sent again");
    }
}

#[tokio::test]
async fn what_another_issuer_sends_is_left_to_it_for_a_while() {
    let (_folder, store) = store().await;
    let clock = Arc::new(MockClock::default());
    let mail = notice(Some("ada@example.test"));
    write(&store, std::slice::from_ref(&mail)).await;
    let (options, issuer) = (options(By::Folder("/nowhere".into()), None), "https://id.example.test".to_owned());
    let on_clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let (_mailer, task) = Mailer::new(options, store, issuer, on_clock, telemetry()).expect("set up");
    clock.advance(TAKEN.checked_sub(Duration::from_secs(1)).expect("longer"));
    assert_eq!(task.sender.look().await, []);
    clock.advance(Duration::from_secs(1));
    assert_eq!(task.sender.look().await, [mail]);
    assert_eq!(task.sender.look().await, [], "taken by this one now");
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_kept_for_a_day() {
    let (_folder, store) = store().await;
    let (url, seen) = server_that_says(|_| b"451 later\r\n").await;
    let fresh = notice(Some("ada@example.test"));
    let old = MailRecord { created: fresh.created.minus(KEPT), ..notice(Some("bob@example.test")) };
    write(&store, &[fresh.clone(), old.clone()]).await;
    send_from(&store, options(By::Smtp(url), None), vec![fresh.clone(), old]).await;
    assert_eq!(left(&store).await, [fresh]);
    assert_eq!((count(&seen, "RCPT TO:<ada@"), count(&seen, "RCPT TO:<bob@")), (2, 2), "{seen:?}");
}
