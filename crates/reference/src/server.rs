//! The handler: what the SDK asks of a server, answered from the catalogue.

#![expect(deprecated, reason = "legacy clients still log and subscribe")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
    CompletionInfo, GetPromptRequestParams, GetPromptResponse, GetPromptResult, GetTaskParams, GetTaskResult,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    LoggingLevel, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, ResourceUpdatedNotificationParam, ServerCapabilities, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    UpdateTaskParams,
};
use rmcp::service::{RequestContext, ServiceError, SubscriptionContext};
use rmcp::task_manager::TaskManager;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;
use tokio::sync::broadcast;

use crate::rounds::{Seal, Step};
use crate::tools::{Round, broken};
use crate::{catalog, tools};

/// How many changes a slow listener may be behind.
const CHANGES_MAX: usize = 64;

/// Something changed; whoever listens is told.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Tools,
    Prompts,
    Resource(String),
}

/// What all sessions of one process share.
pub(crate) struct Shared {
    pub(crate) seal: Seal,
    pub(crate) tasks: TaskManager,
    changes: broadcast::Sender<Change>,
    cancelled: AtomicU64,
    fewer: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        Ok(Self {
            seal: Seal::new()?,
            tasks: TaskManager::new(),
            changes,
            cancelled: AtomicU64::new(0),
            fewer: AtomicBool::new(false),
        })
    }

    /// Tells every open subscription.
    pub(crate) fn tell(&self, change: Change) {
        // Nobody listening is no fault.
        drop(self.changes.send(change));
    }

    /// From now on there is one tool less.
    pub(crate) fn offer_fewer(&self) {
        self.fewer.store(true, Ordering::Relaxed);
    }

    fn offers(&self, tool: &str) -> bool {
        tool != "reference_cancelled" || !self.fewer.load(Ordering::Relaxed)
    }

    pub(crate) fn count_cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// One session in the legacy era, one request in the modern one.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) shared: Arc<Shared>,
    session: Arc<Mutex<Session>>,
}

#[derive(Debug, Default)]
struct Session {
    level: Option<LoggingLevel>,
    watched: BTreeSet<String>,
}

impl Reference {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, session: Arc::default() }
    }

    /// Whether the caller speaks 2026-07-28 or later.
    #[expect(clippy::unused_self, reason = "reads as a question to the server")]
    pub(crate) fn is_modern(&self, context: &RequestContext<RoleServer>) -> bool {
        context
            .protocol_version()
            .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
    }

    /// A log message, where the caller wants them: modern by `_meta`, legacy unless a level above says no.
    pub(crate) async fn log(&self, context: &RequestContext<RoleServer>, message: &str) {
        let level = if self.is_modern(context) {
            context.meta.log_level()
        } else {
            Some(self.with_session(|session| session.level).unwrap_or(LoggingLevel::Debug))
        };
        if level.is_some_and(|level| level as u8 <= LoggingLevel::Info as u8) {
            // A client that went away needs no log.
            drop(context.peer.notify_logging_message(tools::log_message(message)).await);
        }
    }

    /// Tells this legacy session, where it cares.
    pub(crate) async fn tell_session(
        &self,
        context: &RequestContext<RoleServer>,
        change: &Change,
    ) -> Result<(), ServiceError> {
        match change {
            Change::Tools => context.peer.notify_tool_list_changed().await,
            Change::Prompts => context.peer.notify_prompt_list_changed().await,
            Change::Resource(uri) if self.with_session(|session| session.watched.contains(uri)) => {
                context.peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri.clone())).await
            }
            Change::Resource(_) => Ok(()),
        }
    }

    fn with_session<T>(&self, act: impl FnOnce(&mut Session) -> T) -> T {
        act(&mut self.session.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ServerHandler for Reference {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("callgate-reference", env!("CARGO_PKG_VERSION")))
            .with_instructions("A server for tests.")
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let all = catalog::tools().into_iter();
        Ok(ListToolsResult::with_all_items(all.filter(|tool| self.shared.offers(&tool.name)).collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        catalog::tool_named(name).filter(|tool| self.shared.offers(&tool.name))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        tools::call(self, request, context).await
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(self.shared.tasks.get_task(&request.task_id)?))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(catalog::prompts()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let round = Round {
            name: &request.name,
            arguments: &arguments,
            responses: request.input_responses.as_ref(),
            state: request.request_state.as_deref(),
        };
        let messages = match tools::asked(self, &context, round).await.transpose()? {
            Some(Step::Ask(result)) => return Ok(result.into()),
            Some(Step::Done(said)) => {
                json!([{ "role": "user", "content": { "type": "text", "text": said } }])
            }
            None => catalog::messages(&request.name, &arguments).ok_or_else(|| {
                ErrorData::invalid_params(format!("there is no prompt `{}`", request.name), None)
            })?,
        };
        Ok(GetPromptResult::new(serde_json::from_value(messages).map_err(broken)?).into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(catalog::resources()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(catalog::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let Some(contents) = catalog::contents(&request.uri) else {
            return Err(ErrorData::resource_not_found(
                "Resource not found",
                Some(json!({ "uri": request.uri })),
            ));
        };
        Ok(ReadResourceResult::new(vec![serde_json::from_value(contents).map_err(broken)?]).into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let typed = request.argument.value;
        let values =
            ["paris", "park", "party"].into_iter().filter(|word| word.starts_with(&typed)).map(str::to_owned);
        Ok(CompleteResult::new(CompletionInfo::with_all_values(values.collect()).map_err(broken)?))
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.with_session(|session| session.level = Some(request.level));
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.with_session(|session| session.watched.insert(request.uri));
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.with_session(|session| session.watched.remove(&request.uri));
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.shared.changes.subscribe();
        let sink = context.sink();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            // The sink refuses what this listener did not ask for, and a listener that fell behind has missed something anyway.
            match change {
                Ok(Change::Tools) => drop(sink.notify_tool_list_changed().await),
                Ok(Change::Prompts) => drop(sink.notify_prompt_list_changed().await),
                Ok(Change::Resource(uri)) => drop(sink.notify_resource_updated(uri).await),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            }
        }
    }
}
