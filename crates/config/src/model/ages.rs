//! How long retained messages are kept, topic by topic.

use dunlin_proto::TopicFilter;

use crate::value::{Expiry, Setting, Value};

/// Topic filters, each with when the retained messages of its topics end. The first that matches counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ages(pub Vec<(String, Expiry)>);

impl Setting for Ages {
    fn kind() -> String {
        "list of a topic filter, a space and a time, as `\"tele/# 1d\"`".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        let rules = Vec::<String>::from_value(value)?;
        rules.into_iter().map(|rule| one(&rule)).collect::<Result<_, _>>().map(Self)
    }

    fn to_value(&self) -> Option<Value> {
        let rule = |(filter, expiry): &(String, Expiry)| match expiry.to_value() {
            Some(Value::Text(time)) => format!("{filter} {time}"),
            Some(Value::Number(seconds)) => format!("{filter} {seconds}s"),
            _ => format!("{filter} never"),
        };
        (!self.0.is_empty()).then(|| Value::List(self.0.iter().map(rule).collect()))
    }
}

fn one(rule: &str) -> Result<(String, Expiry), String> {
    let (filter, time) = rule
        .rsplit_once(' ')
        .ok_or_else(|| format!("`{rule}` is not a topic filter, a space and a time"))?;
    TopicFilter::new(filter).map_err(|wrong| format!("`{filter}`: {wrong}"))?;
    let expiry = Expiry::from_value(Value::Text(time.to_owned()))
        .map_err(|wrong| format!("`{rule}`: {wrong}"))?;
    Ok((filter.to_owned(), expiry))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_filter_may_have_spaces_and_a_time_may_be_never() {
        let list = ["my house/# 90s", "keep/# never"].map(str::to_owned);
        let ages = Ages::from_value(Value::List(list.into())).expect("two rules");
        assert_eq!(
            ages.0,
            [
                ("my house/#".to_owned(), Expiry::After(Duration::from_secs(90))),
                ("keep/#".to_owned(), Expiry::Never)
            ]
        );
        let again = Ages::from_value(ages.to_value().expect("a list"));
        assert_eq!(again, Ok(ages));
    }

    #[test]
    fn what_is_no_filter_or_no_time_is_told() {
        for wrong in ["tele/#", "a#b 1d", "tele/# soon"] {
            let told = Ages::from_value(Value::Text(wrong.into())).expect_err(wrong);
            assert!(told.contains('`'), "{told}");
        }
    }
}
