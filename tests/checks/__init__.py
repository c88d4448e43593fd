"""The sixty checks of an OpenAI-compatible gateway: each behaviour that some peer was seen to break.

A check is a test whose name begins with its number. The fixture `case` (conftest.py here) runs it on each of the
four providers, whole and streamed, so a test id reads like a row of the table:

    test_13_a_tool_call_ends_with_tool_calls[anthropic-streamed]

`@on("deepseek")` and `@whole`, `@streamed` narrow a check to where it means something. The SDKs look where a
client's view is meant, httpx where the bytes are. Check 59 (files and batches) has no endpoint yet and is not here.
"""
