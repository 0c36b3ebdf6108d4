-- Who asks: what a request's desk is chosen by. Only where a request goes depends on it, never what
-- is answered: any desk may get any message.

local cjson = require "cjson.safe"

local uid = {}

-- A header or a cookie cannot carry every letter as it is, so they are read as percent-encoded; a
-- "%" that begins no code stands for itself.
local function decoded(text)
    return text and text:gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end)
end

local function from_header()
    return decoded(ngx.var.http_x_uid)
end

-- In a query a space may also be a plus.
local function from_query()
    local text = ngx.var.arg_uid
    return decoded(text and text:gsub("+", " "))
end

local function from_cookie()
    return decoded(ngx.var.cookie_kefu_uid)
end

-- `uid` of /chat, `user` of /v1. What is no JSON is for the desk to refuse.
local function from_body()
    if ngx.req.get_method() ~= "POST" then
        return nil
    end
    ngx.req.read_body()
    -- nil where there is none, and where it was too large for memory.
    local body = ngx.req.get_body_data()
    local sent = body and cjson.decode(body)
    return type(sent) == "table" and (sent.uid or sent.user)
end

-- The body last: the others spare its decoding.
local PLACES = { from_header, from_query, from_cookie, from_body }

-- The uid as UTF-8, whichever way it came, so that it is the same for each of them. Without one
-- any desk is as good as another: what a shop's server asks for nobody in particular is spread.
function uid.of_request()
    for _, look in ipairs(PLACES) do
        local found = look()
        if type(found) == "string" and found ~= "" then
            return found
        end
    end
    return ngx.var.request_id
end

return uid
