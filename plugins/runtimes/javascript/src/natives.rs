//! What the prelude asks of Rust: the functions of its `host`.

use std::path::Path;
use std::rc::Rc;

use boa_engine::object::builtins::{JsArray, JsArrayBuffer, JsFunction, JsPromise};
use boa_engine::{Context, JsArgs as _, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction, Source, js_string};
use url::Url;

use crate::events;
use crate::turns::{self, Turns};
use crate::world::{AppendError, Level, NewEvent, Request};

/// For [`Context::insert_data`].
pub(crate) struct Data(pub Rc<Turns>);

type Native = fn(&JsValue, &[JsValue], &mut Context) -> JsResult<JsValue>;

pub(crate) fn host(context: &mut Context) -> JsResult<JsObject> {
    let functions: [(&str, Native); 15] = [
        ("log", log),
        ("world", world),
        ("now", now),
        ("random", random),
        ("timer", timer),
        ("clearTimer", clear_timer),
        ("encode", encode),
        ("decode", decode),
        ("url", parse_url),
        ("urlWith", url_with),
        ("send", send),
        ("read", read),
        ("close", close),
        ("append", append),
        ("web", web),
    ];
    let host = JsObject::with_object_proto(context.intrinsics());
    for (name, function) in functions {
        let function = NativeFunction::from_fn_ptr(function).to_js_function(context.realm());
        host.create_data_property_or_throw(JsString::from(name), function, context)?;
    }
    Ok(host)
}

fn turns(context: &Context) -> JsResult<Rc<Turns>> {
    let data = context.get_data::<Data>().map(|data| Rc::clone(&data.0));
    data.ok_or_else(|| JsNativeError::error().with_message("the runtime is not set up").into())
}

fn text(args: &[JsValue], nth: usize, context: &mut Context) -> JsResult<String> {
    Ok(args.get_or_undefined(nth).to_string(context)?.to_std_string_lossy())
}

fn optional_text(args: &[JsValue], nth: usize, context: &mut Context) -> JsResult<Option<String>> {
    if args.get_or_undefined(nth).is_undefined() { Ok(None) } else { text(args, nth, context).map(Some) }
}

fn bytes(value: &JsValue) -> JsResult<Vec<u8>> {
    let object = value.as_object().ok_or_else(|| JsNativeError::typ().with_message("expected an ArrayBuffer"))?;
    Ok(JsArrayBuffer::from_object(object)?.to_vec().unwrap_or_default())
}

fn log(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let level = match text(args, 0, context)?.as_str() {
        "debug" => Level::Debug,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => Level::Info,
    };
    let line = text(args, 1, context)?;
    turns(context)?.world.log(level, &line);
    Ok(JsValue::undefined())
}

fn world(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let what = text(args, 0, context)?;
    turns(context)?.require_world(&what)?;
    Ok(JsValue::undefined())
}

/// Milliseconds of the monotonic clock.
fn now(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    Ok((turns(context)?.world.monotonic_nanos() as f64 / 1e6).into())
}

fn random(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let count = args.get_or_undefined(0).to_length(context)?;
    if count > 65_536 {
        return Err(JsNativeError::range().with_message(format!("at most 65536 random bytes at once, not {count}")).into());
    }
    let bytes = turns(context)?.world.random(count as usize);
    turns::buffer(&bytes, context)
}

fn timer(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args, 4, context)?;
    let turns = turns(context)?;
    turns.require_world(&name)?;
    let callback = args.get_or_undefined(0).as_object().and_then(JsFunction::from_object);
    let callback = callback.ok_or_else(|| JsNativeError::typ().with_message("expected a function"))?;
    let millis = args.get_or_undefined(1).to_length(context)?;
    let repeats = args.get_or_undefined(2).to_boolean();
    let mut arguments = Vec::new();
    if let Some(list) = args.get_or_undefined(3).as_object() {
        let list = JsArray::from_object(list)?;
        for nth in 0..list.length(context)? {
            arguments.push(list.get(nth, context)?);
        }
    }
    Ok(turns.set_timer(callback, millis, repeats, arguments).into())
}

fn clear_timer(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = args.get_or_undefined(0).to_u32(context)?;
    turns(context)?.clear_timer(id);
    Ok(JsValue::undefined())
}

fn encode(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = text(args, 0, context)?;
    turns::buffer(text.as_bytes(), context)
}

fn decode(_: &JsValue, args: &[JsValue], _context: &mut Context) -> JsResult<JsValue> {
    let bytes = bytes(args.get_or_undefined(0))?;
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let text = match std::str::from_utf8(bytes) {
        Err(error) if args.get_or_undefined(1).to_boolean() => {
            return Err(JsNativeError::typ().with_message(format!("not UTF-8: {error}")).into());
        }
        _ => String::from_utf8_lossy(bytes),
    };
    Ok(JsString::from(text.as_ref()).into())
}

fn parse_url(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (address, base) = (text(args, 0, context)?, optional_text(args, 1, context)?);
    let parsed = match &base {
        Some(base) => Url::parse(base).and_then(|base| base.join(&address)),
        None => Url::parse(&address),
    };
    match parsed {
        Ok(url) => parts(&url, context),
        Err(error) => Err(JsNativeError::typ().with_message(format!("{address:?} is no URL: {error}")).into()),
    }
}

/// A part that does not fit is left as it was, as the standard wants it.
fn url_with(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (href, part, value) = (text(args, 0, context)?, text(args, 1, context)?, text(args, 2, context)?);
    let mut url = Url::parse(&href).map_err(|error| JsNativeError::typ().with_message(error.to_string()))?;
    match part.as_str() {
        "protocol" => url::quirks::set_protocol(&mut url, &value),
        "username" => url::quirks::set_username(&mut url, &value),
        "password" => url::quirks::set_password(&mut url, &value),
        "host" => url::quirks::set_host(&mut url, &value),
        "hostname" => url::quirks::set_hostname(&mut url, &value),
        "port" => url::quirks::set_port(&mut url, &value),
        "pathname" => {
            url::quirks::set_pathname(&mut url, &value);
            Ok(())
        }
        "search" => {
            url::quirks::set_search(&mut url, &value);
            Ok(())
        }
        _ => {
            url::quirks::set_hash(&mut url, &value);
            Ok(())
        }
    }
    .ok();
    parts(&url, context)
}

fn parts(url: &Url, context: &mut Context) -> JsResult<JsValue> {
    let object = JsObject::with_object_proto(context.intrinsics());
    for (name, value) in [
        ("href", url::quirks::href(url)),
        ("origin", &url::quirks::origin(url)),
        ("protocol", url::quirks::protocol(url)),
        ("username", url::quirks::username(url)),
        ("password", url::quirks::password(url)),
        ("host", url::quirks::host(url)),
        ("hostname", url::quirks::hostname(url)),
        ("port", url::quirks::port(url)),
        ("pathname", url::quirks::pathname(url)),
        ("search", url::quirks::search(url)),
        ("hash", url::quirks::hash(url)),
    ] {
        object.create_data_property_or_throw(JsString::from(name), JsString::from(value), context)?;
    }
    Ok(object.into())
}

/// A promise of status and headers.
fn send(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let turns = turns(context)?;
    turns.require_world("fetch")?;
    let (method, address) = (text(args, 0, context)?, text(args, 1, context)?);
    let refuse = |message: String| JsNativeError::typ().with_message(format!("fetch failed: {method} {address}: {message}"));
    let url = Url::parse(&address).map_err(|error| refuse(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("only http and https are understood".to_owned()).into());
    }
    let mut headers = Vec::new();
    if let Some(list) = args.get_or_undefined(2).as_object() {
        let list = JsArray::from_object(list)?;
        for nth in (0..list.length(context)?).step_by(2) {
            let (name, value) = (list.get(nth, context)?.to_string(context)?, list.get(nth + 1, context)?.to_string(context)?);
            headers.push((name.to_std_string_lossy(), value.to_std_string_lossy().into_bytes()));
        }
    }
    let body = args.get_or_undefined(3);
    let request = Request {
        is_https: url.scheme() == "https",
        authority: url::quirks::host(&url).to_owned(),
        path_with_query: url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
        headers,
        body: if body.is_undefined() { None } else { Some(bytes(body)?) },
        method: method.clone(),
    };
    let exchange = turns.world.send(request).map_err(refuse)?;
    let (promise, resolvers) = JsPromise::new_pending(context);
    turns.wait_for(exchange, resolvers);
    Ok(promise.into())
}

/// A promise of the next piece of a body, or of nothing at its end.
fn read(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let exchange = args.get_or_undefined(0).to_u32(context)?;
    let (promise, resolvers) = JsPromise::new_pending(context);
    turns(context)?.wait_for(exchange, resolvers);
    Ok(promise.into())
}

fn close(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let exchange = args.get_or_undefined(0).to_u32(context)?;
    turns(context)?.close(exchange);
    Ok(JsValue::undefined())
}

/// The function that makes what is left out of the prelude.
fn web(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    context.eval(Source::from_bytes(include_str!("web.js")).with_path(Path::new("pelton:web")))
}

fn append(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let turns = turns(context)?;
    let to = optional_text(args, 0, context)?;
    let offset = args.get_or_undefined(5);
    let event = NewEvent {
        event_type: text(args, 1, context)?,
        payload: text(args, 2, context)?,
        metadata: optional_text(args, 3, context)?,
        idempotency_key: optional_text(args, 4, context)?,
        expected_offset: if offset.is_undefined() { None } else { Some(offset.to_length(context)?) },
    };
    let result = if args.get_or_undefined(6).to_boolean() {
        turns.world.append_now(to.as_deref(), event).map(Some)
    } else {
        turns.world.append(to.as_deref(), event).map(|()| None)
    };
    match result {
        Ok(Some(event)) => events::value(&event, turns.dialect, context),
        Ok(None) => Ok(JsValue::undefined()),
        Err(AppendError { code, message }) => {
            let error = JsNativeError::error().with_message(format!("append was refused ({code}): {message}")).into_opaque(context);
            error.create_data_property_or_throw(js_string!("code"), JsString::from(code), context)?;
            Err(boa_engine::JsError::from_opaque(error.into()))
        }
    }
}
