//! Output without its ages, which change from second to second.

use serde_json::Value;

const AGES: [&str; 3] = ["installed", "last_used", "first_used"];

/// A text, with `N` for the numbers before `sec`.
#[must_use]
pub fn ageless_text(text: &str) -> String {
    let words: Vec<_> = text.split(' ').collect();
    let is_age = |at: usize| words.get(at + 1).is_some_and(|next| next.starts_with("sec"));
    let words = words.iter().enumerate().map(|(at, word)| if is_age(at) { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// A value, with nothing for each age.
#[must_use]
pub fn ageless_json(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(ageless_json).collect(),
        Value::Object(fields) => {
            let without = |(key, value): (String, Value)| match AGES.contains(&key.as_str()) {
                true => (key, Value::Null),
                false => (key, ageless_json(value)),
            };
            fields.into_iter().map(without).collect()
        }
        other => other,
    }
}
