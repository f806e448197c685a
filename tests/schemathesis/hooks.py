"""What the OpenAPI document cannot say of an append: some of its parameters belong to one kind of body."""

import schemathesis

OF_A_COMPONENT = {"slug", "config", "consumes", "effectsFrom", "catchUp", "includeChildren", "limits"}


@schemathesis.hook
def map_case(context, case):
    is_append = case.operation.definition.raw.get("operationId") == "append"
    if is_append and case.media_type != "application/wasm" and isinstance(case.query, dict):
        case.query = {name: value for name, value in case.query.items() if name not in OF_A_COMPONENT}
    return case
