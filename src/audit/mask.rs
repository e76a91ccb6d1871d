use serde_json::Value;

/// What stands for a secret.
const MASK: &str = "***";

/// Takes secrets out, wherever they stand: by the names that the interface has for them.
pub(super) fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                // That there is one, and since when, is what a read shows.
                let is_state = field.get("set").is_some_and(Value::is_boolean);
                if is_secret(name) && !field.is_null() && !is_state {
                    *field = Value::from(MASK);
                } else {
                    mask(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

fn is_secret(name: &str) -> bool {
    matches!(name, "secret" | "password" | "password_hash" | "setup_token" | "private_key") || name.ends_with("_secret")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let mut value = json!({
            "name": "x", "password": "p", "auth": {"secret": ["a"], "user": "u"}, "old_secret": {"value": "s"},
            "peers": [{"secret": null}, {"secret": {"set": true, "changed_at": null}}, {"password_hash": "$2b$"}],
        });
        mask(&mut value);
        let expected = json!({
            "name": "x", "password": "***", "auth": {"secret": "***", "user": "u"}, "old_secret": "***",
            "peers": [{"secret": null}, {"secret": {"set": true, "changed_at": null}}, {"password_hash": "***"}],
        });
        assert_eq!(value, expected);
    }
}
