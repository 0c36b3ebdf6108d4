-- What the gateway itself refuses, in the desks' words: RFC 9457, below /v1 OpenAI's error object
-- (http/problems.py). What a desk refuses is passed on as it is.

local cjson = require "cjson.safe"

local problem = {}

local AGAIN = "Send the message again with the same Idempotency-Key."

-- By status: title, code, detail, and after how many seconds to come again.
local KNOWN = {
    [400] = { "Bad Request", "bad_request", "This is no HTTP request that can be read." },
    [404] = { "Not Found", "not_found", "Not Found" },
    [405] = { "Method Not Allowed", "method_not_allowed", "Method Not Allowed" },
    [408] = { "Request Timeout", "request_timeout", "The request did not arrive in time.", 1 },
    [413] = { "Content Too Large", "body_too_large", "The body is larger than this endpoint takes." },
    [414] = { "URI Too Long", "uri_too_long", "The address is longer than the gateway takes." },
    [429] = { "Too Many Requests", "too_many_requests", "Too many requests from this address.", 2 },
    [431] = { "Request Header Fields Too Large", "headers_too_large", "The headers are larger than the gateway takes." },
    [500] = { "Internal Server Error", "internal", "Something went wrong in the gateway. Its log has the details." },
    [502] = { "Bad Gateway", "no_desk", "No desk answered. " .. AGAIN, 2 },
    [503] = { "Service Unavailable", "no_desk", "No desk is ready.", 2 },
    [504] = { "Gateway Timeout", "desk_timed_out", "The desk did not answer in time. " .. AGAIN, 5 },
}

local function is_openai()
    return (ngx.var.request_uri or ""):find("^/v1/") ~= nil
end

local function openai_error(status, code, detail)
    local kind = status < 500 and "invalid_request_error" or "server_error"
    return { error = { message = detail, type = kind, param = cjson.null, code = code } }
end

-- Answer with the problem of the status that nginx gave this request.
function problem.write()
    local status = KNOWN[ngx.status] and ngx.status or 500
    local title, code, detail, retry_after = unpack(KNOWN[status])
    ngx.header["Retry-After"] = retry_after
    ngx.header["Cache-Control"] = "no-store"
    ngx.header["X-Content-Type-Options"] = "nosniff"
    if is_openai() then
        ngx.header["Content-Type"] = "application/json"
        ngx.print(cjson.encode(openai_error(status, code, detail)))
        return
    end
    ngx.header["Content-Type"] = "application/problem+json"
    ngx.print(cjson.encode({
        type = "about:blank",
        title = title,
        status = status,
        detail = detail,
        code = code,
        retry_after = retry_after,
    }))
end

return problem
