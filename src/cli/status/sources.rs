//! What comes from Auth0 while the service runs: how far each source has been read, and how the
//! stream of events and the webhook stand.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::listing::ago;

/// The sources as people read them. `service` is what the service says of itself, `webhook` the
/// address that the configuration gives to Auth0, `now` the time on this machine.
pub(super) fn listing(
    text: &mut String,
    sources: &Value,
    service: &Value,
    webhook: &Value,
    now: DateTime<Utc>,
) {
    // Writing to a String cannot fail.
    for (source, about) in sources.as_object().into_iter().flatten() {
        let age = ago(about["age_seconds"].as_f64().unwrap_or_default());
        let position = about["position"].as_str().filter(|text| !text.is_empty()).unwrap_or("its beginning");
        let _ = writeln!(text, "{source:<9}  read up to {position}, {age} ago");
    }
    if let Some(told) = stream(&service["events"], now) {
        let _ = writeln!(text, "stream     {told}");
    }
    if let Some(url) = webhook.as_str() {
        let _ = writeln!(text, "webhook    {}", reports(&service["webhook"], url, now));
    }
}

/// How the stream of events stands; none where there is none, or no service to ask.
fn stream(events: &Value, now: DateTime<Utc>) -> Option<String> {
    let error = events["error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
    let since = since(&events["since"], now).map(|age| format!(" for {age}")).unwrap_or_default();
    let state = match events["state"].as_str()? {
        "connected" => format!("of events: connected{since}"),
        "waiting" => format!("of events: not connected{since}, it is tried again{error}"),
        "refused" => format!("of events: refused{since}{error}"),
        _ => return None,
    };
    let last = since_last(&events["last_event_at"], now);
    let lost = match events["lost"].as_u64() {
        Some(lost @ 1..) => format!("; its place was lost {lost} times"),
        _ => String::new(),
    };
    Some(format!("{state}; {} events{last}{lost}", events["events"].as_u64().unwrap_or(0)))
}

/// What has come to the webhook since the service started, and whether what sends it is in place.
fn reports(webhook: &Value, url: &str, now: DateTime<Utc>) -> String {
    if !webhook.is_object() {
        return format!("{url}: no service takes messages");
    }
    let in_place = match (&webhook["in_place"], webhook["error"].as_str()) {
        (Value::Bool(true), _) => "what sends them is in place".to_owned(),
        (Value::Bool(false), error) => {
            format!("what sends them is not in place: {}", error.unwrap_or("unknown"))
        }
        _ => "nothing is known of what sends them yet".to_owned(),
    };
    let [taken, refused] = ["messages", "refused"].map(|name| webhook[name].as_u64().unwrap_or(0));
    let last = since_last(&webhook["last_message_at"], now);
    format!("{url}: {taken} messages{last}, {refused} refused; {in_place}")
}

fn since_last(at: &Value, now: DateTime<Utc>) -> String {
    since(at, now).map(|age| format!(", the last {age} ago")).unwrap_or_default()
}

fn since(at: &Value, now: DateTime<Utc>) -> Option<String> {
    let at = DateTime::parse_from_rfc3339(at.as_str()?).ok()?.with_timezone(&Utc);
    Some(ago((now - at).num_milliseconds() as f64 / 1000.0))
}

/// The address that Auth0 posts to, where one is configured.
pub(super) fn address(webhook: Option<&crate::app::Webhook>) -> Value {
    json!(webhook.map(|webhook| webhook.url.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(service: &Value, webhook: &Value) -> String {
        let now = DateTime::parse_from_rfc3339("2026-11-23T12:00:00Z").unwrap().with_timezone(&Utc);
        let sources = json!({"logs": {"position": "", "age_seconds": 2.4}});
        let mut text = String::new();
        listing(&mut text, &sources, service, webhook, now);
        text
    }

    #[test]
    fn the_webhook_and_the_stream_say_how_they_stand() {
        let mut service = json!({
            "events": {"state": "connected", "since": "2026-11-23T11:50:00Z", "events": 12, "lost": 0,
                "last_event_at": "2026-11-23T11:59:30Z", "error": null},
            "webhook": {"messages": 3, "refused": 1, "last_message_at": null, "in_place": true, "error": null},
        });
        let url = json!("https://sync.example.com/in");
        assert_eq!(
            told(&service, &url),
            "logs       read up to its beginning, 2 s ago\n\
             stream     of events: connected for 10 min; 12 events, the last 30 s ago\n\
             webhook    https://sync.example.com/in: 3 messages, 1 refused; what sends them is in place\n"
        );
        service["events"] =
            json!({"state": "refused", "error": "403 Insufficient scope", "events": 0, "lost": 2});
        service["webhook"] = json!({"messages": 0, "refused": 0, "in_place": false, "error": "403 no"});
        let text = told(&service, &url);
        assert!(text.contains("stream     of events: refused: 403 Insufficient scope; 0 events; its place was lost 2 times\n"), "{text}");
        assert!(text.contains("0 refused; what sends them is not in place: 403 no\n"), "{text}");
    }

    #[test]
    fn what_is_not_configured_is_not_told() {
        let service = json!({"events": {"state": "off"}, "webhook": {"messages": 0, "in_place": null}});
        assert_eq!(told(&service, &Value::Null), "logs       read up to its beginning, 2 s ago\n");
        let away = told(&Value::Null, &json!("https://sync.example.com/in"));
        assert!(
            away.ends_with("webhook    https://sync.example.com/in: no service takes messages\n"),
            "{away}"
        );
    }
}
