"""A server of one tool over the Model Context Protocol, for agents that bring such tools to the model. It writes down that
it was called in the file that it is given."""

import json
import pathlib
import sys

TOOL = {
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "inputSchema": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The name of the city."}},
        "required": ["city"],
    },
}


def result(method, params):
    if method == "initialize":
        about = {"name": "weather", "version": "1.0.0"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": about}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        pathlib.Path(sys.argv[1]).write_text(json.dumps(params["arguments"]), encoding="utf-8")
        return {"content": [{"type": "text", "text": '{"temperature": 18, "condition": "sunny"}'}]}
    return {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        answer = {"jsonrpc": "2.0", "id": request["id"], "result": result(request["method"], request.get("params", {}))}
        print(json.dumps(answer), flush=True)
