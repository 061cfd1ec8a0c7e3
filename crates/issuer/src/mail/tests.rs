//! Mails, by a folder and by a server that answers from a script.

use std::path::Path;

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

fn notice(to: Option<&str>) -> Notice {
    Notice {
        owner: "Ada Lovelace".to_owned(),
        to: to.map(|text| text.parse().expect("an address")),
        name: "Shop {client_id} — été".to_owned(),
        client_id: "shop-1".to_owned(),
        organization: "Acme".to_owned(),
    }
}

async fn send(options: MailOptions, notices: Vec<Notice>) {
    let clock = Arc::new(MockClock::default());
    let (mailer, mut task) = Mailer::new(options, "https://id.example.test".to_owned(), clock).expect("set up");
    task.retries = &[Duration::ZERO];
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
