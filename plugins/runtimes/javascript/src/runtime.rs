//! One program, loaded: from its configuration to calls of its functions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use boa_engine::builtins::promise::PromiseState;
use boa_engine::module::{ModuleLoader, ModuleRequest, Referrer};
use boa_engine::object::builtins::{JsFunction, JsPromise};
use boa_engine::{Context, JsError, JsNativeError, JsObject, JsResult, JsString, JsValue, Module, Source, js_string};
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::program::{Dialect, Program};
use crate::turns::{self, Executor, Hooks, Phase, Turns, WorldClock};
use crate::world::{Event, World};
use crate::{events, json, natives, types};

const PRELUDE: &str = include_str!("prelude.js");
/// Frames of calls within calls. Each that goes through a built-in such as `map` is one of this component's own too.
const RECURSION_MAX: usize = 400;
const FRAMES_SHOWN_MAX: usize = 12;

pub(crate) struct Runtime {
    context: Context,
    turns: Rc<Turns>,
    processor: JsObject,
    reduce: Option<JsFunction>,
    effect: Option<Effect>,
    tools: Tools,
    slug: JsValue,
    /// Frozen, so that one call leaves nothing in it for the next.
    config: JsValue,
    /// The oldest programs have `reduce(state, event)`.
    reduces_by_position: bool,
}

/// What a program may call its effect.
enum Effect {
    AfterAppend(JsFunction),
    /// The older shape, which also wants the state before the event. It is kept beside the state, for nothing else survives between calls.
    OnEvent(JsFunction),
}

/// What the prelude gives back.
struct Tools {
    logger: JsValue,
    append: JsValue,
    append_now: JsValue,
    stringify: JsFunction,
    inspect: JsFunction,
    worded: JsFunction,
    is_destructuring: JsFunction,
    misspelled: JsFunction,
    check_json: JsFunction,
    freeze: JsFunction,
    set_environment: JsFunction,
}

impl Runtime {
    /// # Errors
    /// What keeps the program from being a processor.
    pub(crate) fn load(world: &Rc<dyn World>, slug: &str, config: &str, environment: &[(String, String)]) -> Result<Self, Failure> {
        let program = Rc::new(Program::parse(config)?);
        let turns = Rc::new(Turns::new(Rc::clone(world), program.dialect));
        let loader = Rc::new(Loader { program: Rc::clone(&program), loaded: RefCell::default(), failure: RefCell::default() });
        let mut context = Context::builder()
            .clock(Rc::new(WorldClock(Rc::clone(world))))
            .job_executor(Rc::new(Executor(Rc::clone(&turns))))
            .host_hooks(Rc::new(Hooks(Rc::clone(&turns))))
            .module_loader(Rc::clone(&loader))
            .build()
            .map_err(|error| Failure::new(error.to_string()))?;
        context.runtime_limits_mut().set_recursion_limit(RECURSION_MAX);
        context.runtime_limits_mut().set_backtrace_limit(FRAMES_SHOWN_MAX);
        context.insert_data(natives::Data(Rc::clone(&turns)));
        events::prepare(&mut context).map_err(|error| Failure::new(error.to_string()))?;
        let tools =
            Tools::make(program.header.as_ref(), &mut context).map_err(|error| Failure::new(format!("the runtime failed: {error}")))?;
        let mut loading = Self {
            processor: JsObject::with_object_proto(context.intrinsics()),
            context,
            turns,
            reduce: None,
            effect: None,
            tools,
            slug: JsString::from(slug).into(),
            config: JsValue::undefined(),
            reduces_by_position: false,
        };
        loading.give_environment(environment)?;
        loading.give_config(&program.config)?;
        let result = loading.evaluate(&loader);
        // Why a module could not be loaded is known better there.
        result.map_err(|failure| loader.failure.take().unwrap_or(failure))?;
        Ok(loading)
    }

    /// The manifest, as JSON.
    ///
    /// # Errors
    /// A field of the processor that does not fit.
    pub(crate) fn describe(&mut self, slug: &str) -> Result<String, Failure> {
        let mut manifest = serde_json::Map::new();
        let name = self.field("slug")?.or(self.field("name")?).unwrap_or_else(|| serde_json::json!(slug));
        manifest.insert("name".into(), name);
        for field in ["version", "description", "consumes", "emits", "stateVersion"] {
            if let Some(value) = self.field(field)? {
                manifest.insert(field.into(), value);
            }
        }
        manifest
            .insert("initialState".into(), serde_json::from_str(&self.initial_state()?).map_err(|error| Failure::new(error.to_string()))?);
        Ok(serde_json::Value::from(manifest).to_string())
    }

    /// # Errors
    /// What the program threw.
    pub(crate) fn reduce(&mut self, state: String, events: &[Event]) -> Result<String, Failure> {
        self.turns.phase.set(Phase::Reduce);
        let mut state = state;
        let dialect = self.turns.dialect;
        for event in events.iter().filter(|event| dialect.shown(&event.event_type).is_some()) {
            let next = self.reduce_event(&state, event).map_err(|error| self.failure(error));
            self.end(None)?;
            state = next.map_err(|failure| at_event(failure, "reduce", event))?.unwrap_or(state);
        }
        Ok(state)
    }

    /// # Errors
    /// What the program threw, or what it left undone.
    pub(crate) fn after_append(&mut self, event: &Event, state: &str) -> Result<(), Failure> {
        self.turns.phase.set(Phase::AfterAppend);
        if self.turns.dialect.shown(&event.event_type).is_none() {
            return Ok(());
        }
        let mut awaited = None;
        let result = self.act(event, state, &mut awaited);
        let ended = self.end(awaited.as_ref());
        result.and(ended).map_err(|failure| at_event(failure, "afterAppend", event))
    }

    fn evaluate(&mut self, loader: &Loader) -> Result<(), Failure> {
        let entry = loader.program.entry.clone();
        let module = loader.module(&entry, &mut self.context).map_err(|error| self.failure(error))?;
        let promise = module.load_link_evaluate(&mut self.context);
        let evaluated = self.settle(&promise.into(), "the module waits for something that never comes");
        let ended = self.end(None);
        evaluated?;
        ended?;
        let default = module.namespace(&mut self.context).get(js_string!("default"), &mut self.context);
        let mut default = default.map_err(|error| self.failure(error))?;
        if let Some(factory) = default.as_object().and_then(JsFunction::from_object) {
            let made = factory.call(&JsValue::undefined(), &[], &mut self.context).map_err(|error| self.failure(error))?;
            default = self.settle(&made, "the factory waits for something that never comes")?;
        }
        let expected = "expected `export default { initialState, reduce, afterAppend }`";
        self.processor = match default.as_object() {
            Some(processor) => processor,
            None if default.is_undefined() => return Err(Failure::new(format!("{entry} has no default export; {expected}"))),
            None => return Err(Failure::new(format!("the default export of {entry} is {}; {expected}", default.display()))),
        };
        self.reduce = self.function("reduce")?;
        self.effect = match (self.function("afterAppend")?, self.function("onEvent")?) {
            (Some(function), _) => Some(Effect::AfterAppend(function)),
            (None, function) => function.map(Effect::OnEvent),
        };
        if let (Some(Effect::OnEvent(_)), Some(reduce)) = (&self.effect, &self.reduce) {
            let (undefined, reduce) = (JsValue::undefined(), JsValue::from(reduce.clone()));
            let result = self.tools.is_destructuring.call(&undefined, &[reduce], &mut self.context);
            self.reduces_by_position = !result.map_err(|error| self.failure(error))?.to_boolean();
        }
        // What was written for another service has run there as it is.
        if self.turns.dialect == Dialect::Own {
            self.check_names(&entry)?;
        }
        if self.reduce.is_none() && self.effect.is_none() {
            return Err(Failure::new(format!("the default export of {entry} has neither `reduce` nor `afterAppend`; {expected}")));
        }
        Ok(())
    }

    fn check_names(&mut self, entry: &str) -> Result<(), Failure> {
        let processor = JsValue::from(self.processor.clone());
        let misspelled = self.tools.misspelled.call(&JsValue::undefined(), &[processor], &mut self.context);
        let misspelled = misspelled.and_then(|found| found.to_string(&mut self.context)).map_err(|error| self.failure(error))?;
        if misspelled.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("the default export of {entry} has {}", misspelled.to_std_string_escaped())))
    }

    /// `None` where the state stays as it is.
    fn reduce_event(&mut self, state: &str, event: &Event) -> JsResult<Option<String>> {
        let is_pair = matches!(self.effect, Some(Effect::OnEvent(_)));
        if !is_pair {
            return self.reduced(state, event);
        }
        let Pair { state, .. } = Pair::parse(state)?;
        let next = self.reduced(state.get(), event)?;
        let next = next.map(RawValue::from_string).transpose().map_err(not_json)?;
        Ok(Some(Pair { state: next.as_deref().unwrap_or(&state).to_owned(), prev_state: state }.to_text()?))
    }

    fn reduced(&mut self, state: &str, event: &Event) -> JsResult<Option<String>> {
        let Some(reduce) = self.reduce.clone() else { return Ok(None) };
        let context = &mut self.context;
        let (event, state) = (events::value(event, self.turns.dialect, context)?, json::parse(state, context)?);
        let arguments = if self.reduces_by_position {
            vec![state, event]
        } else {
            let named = JsObject::with_object_proto(context.intrinsics());
            named.create_data_property_or_throw(js_string!("event"), event, context)?;
            named.create_data_property_or_throw(js_string!("state"), state, context)?;
            for (name, value) in [("logger", &self.tools.logger), ("config", &self.config), ("slug", &self.slug)] {
                named.create_data_property_or_throw(JsString::from(name), value.clone(), context)?;
            }
            vec![named.into()]
        };
        let next = reduce.call(&self.processor.clone().into(), &arguments, context)?;
        if next.is_undefined() {
            return Ok(None);
        }
        if next.as_object().is_some_and(|object| JsPromise::from_object(object).is_ok()) {
            let message = "reduce returned a promise; it has to return the state itself, and what takes time belongs in afterAppend";
            return Err(JsNativeError::typ().with_message(message).into());
        }
        let text = self.tools.stringify.call(&JsValue::undefined(), std::slice::from_ref(&next), context)?;
        match text.as_string() {
            Some(text) => Ok(Some(text.to_std_string_lossy())),
            None => Err(JsNativeError::typ().with_message(format!("reduce returned {}, which is not JSON", next.display())).into()),
        }
    }

    fn act(&mut self, event: &Event, state: &str, awaited: &mut Option<JsObject>) -> Result<(), Failure> {
        let returned = self.call_effect(event, state).map_err(|error| self.failure(error))?;
        *awaited = returned.as_object().filter(|object| JsPromise::from_object(object.clone()).is_ok());
        let waits = "afterAppend waits for a promise that nothing will settle: no timer, no request and no job is left";
        self.settle(&returned, waits).map(drop)
    }

    fn call_effect(&mut self, event: &Event, state: &str) -> JsResult<JsValue> {
        let (function, state, before) = match &self.effect {
            None => return Ok(JsValue::undefined()),
            Some(Effect::AfterAppend(function)) => (function.clone(), state.to_owned(), None),
            Some(Effect::OnEvent(function)) => {
                let pair = Pair::parse(state)?;
                (function.clone(), pair.state.get().to_owned(), Some(pair.prev_state.get().to_owned()))
            }
        };
        let context = &mut self.context;
        let mut fields = vec![
            (js_string!("append"), self.tools.append.clone()),
            (js_string!("appendNow"), self.tools.append_now.clone()),
            (js_string!("event"), events::value(event, self.turns.dialect, context)?),
            (js_string!("state"), json::parse(&state, context)?),
            (js_string!("logger"), self.tools.logger.clone()),
            (js_string!("env"), context.global_object().get(js_string!("env"), context)?),
            (js_string!("config"), self.config.clone()),
            (js_string!("slug"), self.slug.clone()),
        ];
        if let Some(before) = before {
            fields.push((js_string!("prevState"), json::parse(&before, context)?));
        }
        let arguments = JsObject::with_object_proto(context.intrinsics());
        for (name, value) in fields {
            arguments.create_data_property_or_throw(name, value, context)?;
        }
        function.call(&self.processor.clone().into(), &[arguments.into()], context)
    }

    /// Runs until the promise is settled; a value that is no promise is settled already, and what it left to do is done all the same.
    fn settle(&mut self, value: &JsValue, waits: &str) -> Result<JsValue, Failure> {
        let promise = value.as_object().and_then(|object| JsPromise::from_object(object).ok());
        loop {
            self.context.run_jobs().map_err(|error| self.failure(error))?;
            match promise.as_ref().map(JsPromise::state) {
                None => return Ok(value.clone()),
                Some(PromiseState::Fulfilled(value)) => return Ok(value),
                Some(PromiseState::Rejected(error)) => return Err(self.failure(JsError::from_opaque(error))),
                Some(PromiseState::Pending) => {}
            }
            let turns = Rc::clone(&self.turns);
            if !turns.turn(&mut self.context).map_err(|error| self.failure(error))? {
                return Err(Failure::new(waits));
            }
        }
    }

    /// What was started and not awaited ends here. A rejection that nobody looked at is an error, for otherwise nobody would ever see it.
    fn end(&mut self, awaited: Option<&JsObject>) -> Result<(), Failure> {
        let Some(rejected) = self.turns.end(awaited) else { return Ok(()) };
        let Some(error) = turns::error_of(&rejected) else { return Ok(()) };
        let failure = self.failure(error);
        Err(failure.after(format_args!("a promise was rejected and nobody awaited it")))
    }

    fn give_environment(&mut self, environment: &[(String, String)]) -> Result<(), Failure> {
        let undefined = JsValue::undefined();
        let result = variables(environment, &mut self.context)
            .and_then(|variables| self.tools.set_environment.call(&undefined, &[variables], &mut self.context));
        result.map(drop).map_err(|error| self.failure(error))
    }

    fn give_config(&mut self, text: &str) -> Result<(), Failure> {
        let frozen = json::parse(text, &mut self.context)
            .and_then(|config| self.tools.freeze.call(&JsValue::undefined(), &[config], &mut self.context));
        self.config = frozen.map_err(|error| self.failure(error))?;
        Ok(())
    }

    fn function(&mut self, name: &str) -> Result<Option<JsFunction>, Failure> {
        let value = self.processor.get(JsString::from(name), &mut self.context).map_err(|error| self.failure(error))?;
        match value.as_object().and_then(JsFunction::from_object) {
            Some(function) => Ok(Some(function)),
            None if value.is_null_or_undefined() => Ok(None),
            None => Err(Failure::new(format!("`{name}` of the processor is {}, not a function", value.display()))),
        }
    }

    fn field(&mut self, name: &str) -> Result<Option<serde_json::Value>, Failure> {
        let value = self.processor.get(JsString::from(name), &mut self.context).map_err(|error| self.failure(error))?;
        if value.is_null_or_undefined() {
            return Ok(None);
        }
        let text = self.json(&value, name)?;
        serde_json::from_str(&text).map(Some).map_err(|error| Failure::new(format!("`{name}`: {error}")))
    }

    fn initial_state(&mut self) -> Result<String, Failure> {
        let value = self.processor.get(js_string!("initialState"), &mut self.context).map_err(|error| self.failure(error))?;
        let state = if value.is_undefined() { "{}".to_owned() } else { self.json(&value, "initialState")? };
        if !matches!(self.effect, Some(Effect::OnEvent(_))) {
            return Ok(state);
        }
        let raw = RawValue::from_string(state).map_err(|error| Failure::new(error.to_string()))?;
        Pair { state: raw.clone(), prev_state: raw }.to_text().map_err(|error| self.failure(error))
    }

    /// JSON of a value that has to be JSON as it stands, named in the error by its path.
    fn json(&mut self, value: &JsValue, path: &str) -> Result<String, Failure> {
        let undefined = JsValue::undefined();
        let check = [value.clone(), JsString::from(path).into()];
        let result = self.tools.check_json.call(&undefined, &check, &mut self.context).and_then(|_| {
            let text = self.tools.stringify.call(&undefined, std::slice::from_ref(value), &mut self.context)?;
            Ok(text.to_string(&mut self.context)?.to_std_string_lossy())
        });
        result.map_err(|error| self.failure(error))
    }

    /// An error with its stack, and the first place in it that is the program's own.
    fn failure(&mut self, error: JsError) -> Failure {
        failure_of(error, &self.tools, &mut self.context)
    }
}

impl Tools {
    fn make(header: Option<&(String, String)>, context: &mut Context) -> JsResult<Self> {
        let prelude = context.eval(Source::from_bytes(PRELUDE).with_path(Path::new("pelton:runtime")))?;
        let prelude = prelude.as_object().and_then(JsFunction::from_object);
        let prelude = prelude.ok_or_else(|| JsNativeError::typ().with_message("the prelude is no function"))?;
        let host = natives::host(context)?;
        let mut arguments = vec![JsValue::from(host)];
        arguments.extend(header.into_iter().flat_map(|(name, value)| [name, value]).map(|text| JsString::from(text.as_str()).into()));
        let tools = prelude.call(&JsValue::undefined(), &arguments, context)?.to_object(context)?;
        let function = |name: &str, context: &mut Context| {
            let value = tools.get(JsString::from(name), context)?;
            let function = value.as_object().and_then(JsFunction::from_object);
            function.ok_or_else(|| JsError::from(JsNativeError::typ().with_message(format!("the prelude has no {name}"))))
        };
        Ok(Self {
            logger: tools.get(js_string!("logger"), context)?,
            append: tools.get(js_string!("append"), context)?,
            append_now: tools.get(js_string!("appendNow"), context)?,
            stringify: function("stringify", context)?,
            inspect: function("inspect", context)?,
            worded: function("worded", context)?,
            is_destructuring: function("isDestructuring", context)?,
            misspelled: function("misspelled", context)?,
            check_json: function("checkJson", context)?,
            freeze: function("freeze", context)?,
            set_environment: function("setEnvironment", context)?,
        })
    }
}

fn variables(environment: &[(String, String)], context: &mut Context) -> JsResult<JsValue> {
    let variables = JsObject::with_object_proto(context.intrinsics());
    for (name, value) in environment {
        variables.create_data_property_or_throw(JsString::from(name.as_str()), JsString::from(value.as_str()), context)?;
    }
    Ok(variables.into())
}

/// State and the state before, of a program of the older shape.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pair {
    state: Box<RawValue>,
    prev_state: Box<RawValue>,
}

impl Pair {
    fn parse(text: &str) -> JsResult<Self> {
        serde_json::from_str(text).map_err(not_json)
    }

    fn to_text(&self) -> JsResult<String> {
        serde_json::to_string(self).map_err(not_json)
    }
}

fn not_json(error: serde_json::Error) -> JsError {
    JsNativeError::typ().with_message(format!("the state is not what this runtime wrote: {error}")).into()
}

fn at_event(failure: Failure, function: &str, event: &Event) -> Failure {
    failure.after(format_args!("{function} failed at {} {}", event.event_type, event.offset))
}

fn failure_of(error: JsError, tools: &Tools, context: &mut Context) -> Failure {
    let plain = error.to_string();
    explained(error, tools, context).unwrap_or_else(|_| placed(plain))
}

fn explained(error: JsError, tools: &Tools, context: &mut Context) -> JsResult<Failure> {
    let value = error.into_opaque(context)?;
    let (undefined, argument) = (JsValue::undefined(), std::slice::from_ref(&value));
    if let Some(words) = tools.worded.call(&undefined, argument, context)?.as_string() {
        return Ok(Failure::worded(words.to_std_string_lossy()));
    }
    let text = tools.inspect.call(&undefined, argument, context)?.to_string(context)?.to_std_string_lossy();
    Ok(placed(if value.is_object() { text } else { format!("{text} was thrown") }))
}

fn placed(message: String) -> Failure {
    let location = message.lines().find_map(place).map(str::to_owned);
    Failure { location, ..Failure::new(message) }
}

/// `processor.js:3:14` of `    at f (processor.js:3:14)`. Where the engine does not know the line it says `?:?`.
fn place(line: &str) -> Option<&str> {
    let place = line.trim_start().strip_prefix("at ")?.rsplit_once('(')?.1.strip_suffix(')')?;
    Some(place.trim_end_matches(":?:?")).filter(|place| *place != "native")
}

/// Modules by name, each made once.
struct Loader {
    program: Rc<Program>,
    loaded: RefCell<HashMap<String, Module>>,
    /// Why the last module could not be loaded.
    failure: RefCell<Option<Failure>>,
}

impl Loader {
    fn module(&self, name: &str, context: &mut Context) -> JsResult<Module> {
        if let Some(module) = self.loaded.borrow().get(name) {
            return Ok(module.clone());
        }
        let text = self.program.javascript(name).map_err(|failure| self.remember(failure))?;
        let module = if name.ends_with(".json") {
            Module::parse_json(JsString::from(text.as_str()), context)
        } else {
            Module::parse(Source::from_bytes(&text).with_path(Path::new(name)), None, context)
        };
        let module = module.map_err(|error| {
            let explained = if name.ends_with(".json") { None } else { types::explain(name, &text) };
            self.remember(explained.unwrap_or_else(|| Failure::new(format!("{name}: {}", error.to_string().trim_end_matches(" (native)")))))
        })?;
        self.loaded.borrow_mut().insert(name.to_owned(), module.clone());
        Ok(module)
    }

    fn remember(&self, failure: Failure) -> JsError {
        let error = JsNativeError::syntax().with_message(failure.to_string());
        self.failure.replace(Some(failure));
        error.into()
    }
}

impl ModuleLoader for Loader {
    async fn load_imported_module(
        self: Rc<Self>,
        referrer: Referrer,
        request: ModuleRequest,
        context: &RefCell<&mut Context>,
    ) -> JsResult<Module> {
        let importer = referrer.path().and_then(Path::to_str);
        let specifier = request.specifier().to_std_string_lossy();
        let name = self.program.resolve(&specifier, importer).map_err(|failure| self.remember(failure))?;
        self.module(&name, &mut context.borrow_mut())
    }
}
