//! CloudWatch Logs: the last lines of a task, for the explanation of a failure.

use std::sync::Arc;

use aws_config::SdkConfig;

use super::convert::page_size;
use super::error::if_present;
use super::line::Line;
use crate::platform::Answer;

/// `logs:GetLogEvents`
pub(super) const GET_LOG_EVENTS: &str = "logs:GetLogEvents";

/// `GetLogEvents` gives no more at once.
const EVENTS_PER_PAGE: usize = 10_000;

/// A page may come back with fewer lines than it could, even none; a few more are worth asking for.
const PAGE_LIMIT: usize = 4;

/// The logs of tasks.
pub(super) struct Logs {
    client: aws_sdk_cloudwatchlogs::Client,
    line: Arc<Line>,
}

impl Logs {
    pub(super) fn new(shared: &SdkConfig, line: Arc<Line>) -> Self {
        Self { client: aws_sdk_cloudwatchlogs::Client::new(shared), line }
    }

    /// The last lines of a stream, oldest first; none when the group or the stream is absent.
    ///
    /// Read backwards, where the end of the stream shows as the same token coming again. Lines
    /// are only ever shown to people, so fewer than asked for are no error.
    pub(super) async fn tail(
        &self,
        group: &str,
        stream: &str,
        lines: usize,
    ) -> Answer<Vec<String>> {
        let mut newest_first = Vec::new();
        let mut token = None;
        for _ in 0..PAGE_LIMIT {
            let request = self
                .client
                .get_log_events()
                .log_group_name(group)
                .log_stream_name(stream)
                .start_from_head(false)
                .limit(page_size(EVENTS_PER_PAGE, Some(lines), newest_first.len()))
                .set_next_token(token.clone());
            let answer = self.line.read(GET_LOG_EVENTS, || request.clone().send()).await;
            let Some(page) = if_present(answer)? else { break };
            let messages = page.events.unwrap_or_default().into_iter().rev();
            newest_first
                .extend(messages.filter_map(|event| event.message.as_deref().map(one_line)));
            let back = page.next_backward_token;
            if newest_first.len() >= lines || back.is_none() || back == token {
                break;
            }
            token = back;
        }
        newest_first.truncate(lines);
        newest_first.reverse();
        Ok(newest_first)
    }
}

fn one_line(message: &str) -> String {
    message.trim_end_matches(['\r', '\n']).to_owned()
}
