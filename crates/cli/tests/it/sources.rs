//! Secrets that are not in the store, told to whoever runs the gateway.

use crate::bed::{Bed, free_port, until};
use std::os::unix::fs::PermissionsExt as _;

const CREDENTIAL: &str = "[[servers.notes.credentials]]\nsecret = \"key\"\nsource = { file = \"notes.key\" }\nenv = \"NOTES_KEY\"\n";
const SWITCH: &str = "[vault]\ndevelopment-sources = true\n";

#[test]
fn a_secret_in_a_file_needs_its_switch_and_is_announced_at_check_at_start_and_in_the_record() {
    let bed = Bed::with_notes();
    let config = bed.notes_config(free_port()) + CREDENTIAL;
    bed.write("callgate.toml", &config);
    let said = bed.run(&["check"]);
    assert!(said.code == 3 && said.err.contains("for development only"), "{} {}", said.out, said.err);
    bed.write("callgate.toml", &(config + SWITCH));
    assert_eq!(bed.run(&["check"]).code, 3, "the file is not there");
    bed.write("notes.key", "sk-in-a-file-4242");
    std::fs::set_permissions(bed.path("notes.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let said = bed.run(&["check"]);
    assert!(said.code == 0 && said.out.contains("for development only"), "{} {}", said.out, said.err);
    assert_eq!(bed.json(&["check"])["development-sources"][0]["secret"], "key");

    let token = bed.token("bot");
    let gateway = bed.serve();
    assert!(bed.log().contains("DEVELOPMENT SOURCE"), "{}", bed.log());
    let session = gateway.session(&token);
    until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    assert_eq!(gateway.call(&token, &session, "read_note")["result"]["content"][0]["text"], "a note");
    let calls = bed.json(&["audit", "list"]);
    let call = calls.as_array().unwrap().iter().find(|call| call["item"]["name"] == "read_note").unwrap();
    let told = bed.run(&["explain", call["call"].as_str().unwrap()]).out;
    assert!(told.contains("from-file:DEVELOPMENT-ONLY"), "{told}");
    assert!(bed.files_with("state", "sk-in-a-file").is_empty());
}

#[test]
fn the_secret_of_a_webhook_is_missed_and_known() {
    let bed = Bed::with_notes();
    let hook = "[[webhooks]]\nname = \"chat\"\nurl = \"http://127.0.0.1:9/hook\"\nsecret = \"chat-hook\"\n";
    bed.write(
        "callgate.toml",
        &(bed.notes_config(free_port()) + hook + &hook.replace("\"chat\"", "\"ops\"")),
    );
    let said = bed.run(&["check"]);
    assert!(said.code == 3 && said.out.contains("a webhook needs the secret `chat-hook`"), "{}", said.out);
    assert_eq!(bed.json(&["check"])["missing-secrets"].as_array().map(Vec::len), Some(1), "once for both");
    let said = bed.run_with(&["secret", "set", "chat-hook"], "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert!(said.code == 0 && !said.err.contains("uses it yet"), "{}", said.err);
    assert_eq!(bed.json(&["secret", "list"])[0]["used-by"], serde_json::json!(["webhook"]));
    assert_eq!(bed.run(&["check"]).code, 0);
    // what is told in the clear is said, and not of this machine
    let said = bed.run(&["check"]).out;
    assert!(!said.contains("plain HTTP"), "{said}");
    let away = hook.replace("127.0.0.1:9", "hooks.example.com");
    bed.write("callgate.toml", &(bed.notes_config(free_port()) + &away));
    let said = bed.run(&["check"]);
    assert!(
        said.code == 0 && said.out.contains("webhook `chat` is told of approvals over plain HTTP"),
        "{said:?}"
    );
    // one that signs nothing is found before the first delivery
    assert_eq!(bed.run_with(&["secret", "set", "chat-hook"], "a password of some length").code, 0);
    let said = bed.run(&["check"]);
    assert!(said.code == 3 && said.out.contains("secret `chat-hook` is no key that signs"), "{said:?}");
    assert_eq!(bed.json(&["check"])["vault"]["unusable"][0]["server"], "webhook");
}

#[test]
fn a_backend_whose_certificates_cannot_be_read_stops_the_start_and_keeps_the_old_settings_at_a_reload() {
    let bed = Bed::with_notes();
    let kv = "[vault.kv]\naddress = \"https://127.0.0.1:8200\"\nca-file = \"ca.pem\"\n\
              login = { method = \"kubernetes\", role = \"callgate\" }\n";
    let config = bed.notes_config(free_port());
    bed.write("callgate.toml", &format!("{config}{kv}"));
    let said = bed.run(&["serve"]);
    assert!(said.code == 1 && said.err.contains("ca.pem"), "{}", said.err);
    bed.write("callgate.toml", &config);
    let gateway = bed.serve();
    bed.write("callgate.toml", &format!("{config}{kv}"));
    gateway.signal("-HUP");
    // what is half written may be read before, and is refused as well
    let refused = || bed.log().contains("ca.pem") && bed.log().contains("THE OLD ONE STAYS IN FORCE");
    until("the reload was refused", refused);
}

#[expect(clippy::disallowed_methods, reason = "whoever signs for a gateway's clock has that of the machine")]
fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// What a webhook's callback about no approval comes to, signed with that key at that moment.
fn callback((gateway, port): (&crate::bed::Served, u16), id: &str, key: &str) -> u16 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let seconds = seconds();
    let body = format!(
        r#"{{"approval":"appr_01m8gjckg09y5yrzvrbredt48f","terms":"sha256:{}","person":"kim","vote":"yes"}}"#,
        "0".repeat(64)
    );
    let raw = STANDARD.decode(key.strip_prefix("whsec_").unwrap()).unwrap();
    let signing = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &raw);
    let signed = aws_lc_rs::hmac::sign(&signing, format!("{id}.{seconds}.{body}").as_bytes());
    let signature = STANDARD.encode(signed);
    let head = format!(
        "POST /console/hooks HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\nwebhook-id: {id}\r\n\
         webhook-timestamp: {seconds}\r\nwebhook-signature: v1,{signature}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    gateway.http(&(head + &body)).0
}

#[test]
fn a_webhooks_key_that_was_taken_away_or_replaced_speaks_for_nobody_within_a_second() {
    const KEYS: [&str; 2] =
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    let bed = Bed::with_notes();
    let hook = "[[webhooks]]\nname = \"chat\"\nurl = \"http://127.0.0.1:9/hook\"\nsecret = \"chat-hook\"\ndecides = true\n";
    bed.write("callgate.toml", &(bed.notes_config(free_port()) + hook));
    assert_eq!(bed.run_with(&["secret", "set", "chat-hook"], KEYS[0]).code, 0);
    let gateway = bed.serve();
    let port = bed.port();
    assert_eq!(callback((&gateway, port), "one", KEYS[0]), 404, "it is heard: there is no such approval");
    assert_eq!(callback((&gateway, port), "two", KEYS[1]), 401);
    assert_eq!(bed.run_with(&["secret", "set", "chat-hook"], KEYS[1]).code, 0);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(callback((&gateway, port), "three", KEYS[0]), 401, "the old one");
    assert_eq!(callback((&gateway, port), "four", KEYS[1]), 404, "the new one");
    assert_eq!(bed.run(&["secret", "remove", "chat-hook"]).code, 0);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(callback((&gateway, port), "five", KEYS[1]), 503);
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn what_a_backend_itself_wants_is_asked_for_once_for_everybody() {
    let bed = Bed::with_notes();
    let kv = "[vault.kv]\naddress = \"https://127.0.0.1:8200\"\n\
              login = { method = \"token\", credential = { secret = \"vault-token\" } }\n";
    let server = |name: &str, source: &str| {
        format!(
            "[servers.{name}]\nurl = \"https://{name}.example/mcp\"\nauthority = \"per-user\"\n\
             [[servers.{name}.credentials]]\nsecret = \"{name}-token\"\n{source}header = \"Authorization\"\n"
        )
    };
    let backed = server("backed", "source = { kv = \"users/{user}/x\", field = \"token\" }\n");
    let config = bed.notes_config(free_port());
    bed.write("callgate.toml", &format!("{config}{kv}{backed}{}", server("stored", "")));
    let said = bed.run(&["check"]).out;
    for line in [
        "server `backed` needs the secret `vault-token`: store it with `callgate secret set vault-token`\n",
        "server `stored` needs the secret `stored-token`: store it with `callgate secret set stored-token --user NAME`\n",
    ] {
        assert!(said.contains(line), "`{line}` is missing in\n{said}");
    }
    assert_eq!(bed.run_with(&["secret", "set", "vault-token"], "hvs.CAESIJ81mZ40").code, 0);
    let said = bed.run(&["check"]).out;
    assert!(!said.contains("`vault-token`") && said.contains("`stored-token`"), "{said}");
}
