//! The body of the response to a file: an addition to the protocol.
//!
//! ```text
//! POST v2/models/MODEL/answer, the body a file ─► {"model_name":"m","model_version":"1","labels":[…]}
//! ```

use serde::Serialize;

/// What a model says of a file.
///
/// `answer` is an object, whose fields stand beside those of the model.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AnswerResponse<'a, A> {
    /// The name of the model that says it.
    pub model_name: &'a str,
    /// Its version.
    pub model_version: &'a str,
    /// What it says.
    #[serde(flatten)]
    pub answer: &'a A,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_json;

    #[test]
    fn fields_stand_side_by_side() {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Answer {
            Labels(Vec<&'static str>),
        }
        let response = AnswerResponse {
            model_name: "m",
            model_version: "1",
            answer: &Answer::Labels(vec!["espresso"]),
        };
        let expected = r#"{"model_name":"m","model_version":"1","labels":["espresso"]}"#;
        assert_eq!(str::from_utf8(&to_json(&response)), Ok(expected));
    }
}
