//! Recorded events as programs see them: as the HTTP API shows them.

use boa_engine::property::PropertyDescriptor;
use boa_engine::{Context, Finalize, JsData, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction, Trace, js_string};

use crate::json;
use crate::program::Dialect;
use crate::world::Event;

/// The JSON texts of an event, as they were written.
#[derive(Trace, Finalize, JsData)]
struct Texts {
    payload: String,
    metadata: Option<String>,
}

/// For [`Context::insert_data`]: what all events inherit.
struct Prototype(JsObject);

/// Makes what [`value`] needs.
pub(crate) fn prepare(context: &mut Context) -> JsResult<()> {
    let prototype = JsObject::with_object_proto(context.intrinsics());
    let payload_json = |this: &JsValue, _: &[JsValue], _: &mut Context| text_of(this, |texts| Some(&texts.payload));
    let metadata_json = |this: &JsValue, _: &[JsValue], _: &mut Context| text_of(this, |texts| texts.metadata.as_ref());
    for (name, getter) in
        [("payloadJson", NativeFunction::from_fn_ptr(payload_json)), ("metadataJson", NativeFunction::from_fn_ptr(metadata_json))]
    {
        let getter = getter.to_js_function(context.realm());
        let descriptor = PropertyDescriptor::builder().get(getter).enumerable(false).configurable(true);
        prototype.define_property_or_throw(JsString::from(name), descriptor, context)?;
    }
    context.insert_data(Prototype(prototype));
    Ok(())
}

fn text_of(event: &JsValue, text: fn(&Texts) -> Option<&String>) -> JsResult<JsValue> {
    let object = event.as_object();
    let texts = object.as_ref().and_then(|object| object.downcast_ref::<Texts>());
    let texts = texts.ok_or_else(|| JsNativeError::typ().with_message("expected a recorded event, as the host gave it"))?;
    Ok(text(&texts).map_or_else(JsValue::undefined, |text| JsString::from(text.as_str()).into()))
}

/// # Errors
/// A payload that is no JSON, which the host does not give.
pub(crate) fn value(event: &Event, dialect: Dialect, context: &mut Context) -> JsResult<JsValue> {
    let prototype = context.get_data::<Prototype>().map(|prototype| prototype.0.clone());
    let texts = Texts { payload: event.payload.clone(), metadata: event.metadata.clone() };
    let object = JsObject::new(context.root_shape(), prototype, texts).upcast();
    let text = |text: &str| JsValue::from(JsString::from(text));
    let mut fields = vec![
        (js_string!("streamPath"), text(&event.stream_path)),
        (js_string!("offset"), (event.offset as f64).into()),
        (js_string!("type"), text(dialect.shown(&event.event_type).as_deref().unwrap_or(&event.event_type))),
        (js_string!("payload"), json::parse(&event.payload, context)?),
    ];
    if let Some(metadata) = &event.metadata {
        fields.push((js_string!("metadata"), json::parse(metadata, context)?));
    }
    if let Some(key) = &event.idempotency_key {
        fields.push((js_string!("idempotencyKey"), text(key)));
    }
    fields.push((js_string!("createdAt"), text(&iso(event.created_at))));
    if let Some(source) = &event.source {
        let from = JsObject::with_object_proto(context.intrinsics());
        for (name, value) in [
            ("slug", text(&source.slug)),
            ("digest", text(&source.digest)),
            ("streamPath", text(&source.stream_path)),
            ("offset", (source.offset as f64).into()),
            ("depth", source.depth.into()),
        ] {
            from.create_data_property_or_throw(JsString::from(name), value, context)?;
        }
        fields.push((js_string!("source"), from.into()));
    }
    for (name, value) in fields {
        object.create_data_property_or_throw(name, value, context)?;
    }
    Ok(object.into())
}

/// `2026-01-31T09:30:00.000Z`
fn iso(millis: u64) -> String {
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    // Years that begin in March have their leap day at the end; 719,468 days lie between the first of them and 1970.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second, milli) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn times_are_written_as_the_api_writes_them() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso(millis), expected);
        }
    }
}
