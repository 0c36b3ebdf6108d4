/*
 * <kefu-chat>: the customer's side of a kefu desk, as one file without dependencies.
 *
 *   <script src="https://desk.example/widget.js" defer></script>
 *   <kefu-chat lang="zh"></kefu-chat>
 *
 * Attributes   server, uid, lang (zh|en), theme (light|dark), mode (bubble|page), api-key, heading
 * Methods      open(), close(), send(text)
 * Events       kefu:reply (detail: the reply object; again for a held one when its answer comes),
 *              kefu:error (detail: the problem object)
 * Style hooks  --kefu-accent, --kefu-on-accent, --kefu-font-size, --kefu-z-index
 *
 * From the bottom up: words, style, DOM, server-sent events, one request, delivery with retries,
 * the outbox, held turns, the conversation (state, no DOM), the view of one turn, the element.
 *
 * Two rules hold throughout. What a person or the server wrote becomes text only through
 * textContent, never markup. And nothing here needs inline script or style, so a page with a
 * strict Content-Security-Policy can use it.
 */
(() => {
  'use strict';

  // ---------------------------------------------------------------------------------- constants

  const MAX_CHARACTERS = 4000; // the server's limit for one message, in code points
  const COUNTER_FROM = 3600; // the counter is noise until the limit is near
  const BACKOFF_MS = [500, 1000, 2000, 4000, 8000];
  const RETRY_BUDGET_MS = 120_000;
  const SILENCE_MS = 45_000; // three heartbeats missed: the connection is dead, whatever TCP says
  const HISTORY_TIMEOUT_MS = 10_000;
  const RATING_TIMEOUT_MS = 10_000;
  const MAX_REASON = 500;
  const UPDATES_WAIT_S = 25; // under the 30 s the desk allows, and under what proxies cut off
  const RESUME_WITHIN_MS = 3_600_000; // an older unsent message waits for a click
  const STORAGE_LAG_MS = 200; // another process's write may show here after its lock has come over
  const TRY_LATER = new Set([408, 425, 429, 502, 503, 504]);

  const noop = () => {};

  /** The folder this script was served from is the desk it talks to, unless told otherwise. */
  const HOME = (() => {
    // currentScript is null for type="module", and import.meta is a syntax error in a classic
    // script, so a module is found by its tag.
    const script = document.currentScript || document.querySelector('script[src*="widget.js"]');
    return new URL('.', script?.src || location.href).href;
  })();

  // -------------------------------------------------------------------------------------- words

  const WORDS = {
    zh: {
      heading: '在线客服',
      openChat: '打开客服对话',
      closeChat: '关闭客服对话',
      unread: (n) => `${n} 条新回复`,
      log: '对话记录',
      you: '我',
      desk: '客服',
      greeting: '您好，有什么可以帮您？',
      greetingMore: '直接输入问题就好。回答会注明来源，拿不准的会转给人工。',
      message: '消息',
      placeholder: '请输入您的问题…',
      send: '发送',
      stop: '停止',
      cancel: '取消',
      retry: '重试',
      jump: '回到最新消息',
      hint: 'Enter 发送，Shift + Enter 换行',
      notice: '回答可能由 AI 生成，重要信息请核实',
      count: (n) => `${n} / ${MAX_CHARACTERS}`,
      tooLong: (n) => `超出 ${n} 个字，请缩短后发送`,
      queued: '排队中，上一条回复完成后发送',
      elsewhere: '正在另一个标签页中发送…',
      sending: '正在发送…',
      stopped: '已停止',
      offline: '网络已断开，恢复后自动重试…',
      retryLost: '连接断开，正在重试…',
      retryBusy: '服务暂时不可用，正在重试…',
      retryIn: (s) => `服务繁忙，约 ${s} 秒后自动重试…`,
      failLost: '多次重试仍未连上，您的消息已保留',
      failBusy: '服务暂时不可用，您的消息已保留',
      failLater: (s) => `服务繁忙，请 ${s < 90 ? `${s} 秒` : `${Math.ceil(s / 60)} 分钟`}后重试`,
      failAccess: '没有访问权限',
      failRefused: '这条消息未被接受',
      failBroken: '服务出错，请稍后重试',
      failOld: '这条消息之前没有发出',
      source: {
        canned: '预设回复', faq: '常见问题', related: '相近问答', cache: '缓存', model: 'AI 生成',
        handoff: '转人工', blocked: '已拦截', held: '待审核',
      },
      choices: '您是不是想问',
      rating: '评价这条回复',
      up: '有帮助',
      down: '没有帮助',
      why: '哪里不满意？（可不填）',
      sendWhy: '提交',
      thanks: '谢谢您的反馈',
      failRating: '评价没有提交成功，请再试一次',
      citations: (n) => `参考资料（${n}）`,
      confidence: (percent) => `置信度 ${percent}%`,
      seconds: (s) => `${s} 秒`,
    },
    en: {
      heading: 'Customer service',
      openChat: 'Open the chat',
      closeChat: 'Close the chat',
      unread: (n) => `${n} new ${n === 1 ? 'reply' : 'replies'}`,
      log: 'Conversation',
      you: 'You',
      desk: 'Desk',
      greeting: 'Hello, how can we help?',
      greetingMore: 'Just type your question. Answers say where they come from; what we are not sure of goes to a person.',
      message: 'Message',
      placeholder: 'Type your question…',
      send: 'Send',
      stop: 'Stop',
      cancel: 'Cancel',
      retry: 'Retry',
      jump: 'Back to the latest message',
      hint: 'Enter to send, Shift + Enter for a new line',
      notice: 'Answers may be AI-generated; check what matters',
      count: (n) => `${n} / ${MAX_CHARACTERS}`,
      tooLong: (n) => `${n} ${n === 1 ? 'character' : 'characters'} too many`,
      queued: 'Waiting for the reply before this one',
      elsewhere: 'Being sent in another tab…',
      sending: 'Sending…',
      stopped: 'Stopped',
      offline: 'You are offline; retrying once you are back…',
      retryLost: 'Connection lost, retrying…',
      retryBusy: 'Service unavailable, retrying…',
      retryIn: (s) => `The service is busy, retrying in about ${s} s…`,
      failLost: 'Still no connection after several tries. Your message is kept.',
      failBusy: 'The service is unavailable. Your message is kept.',
      failLater: (s) => `The service is busy. Please retry in ${s < 90 ? `${s} s` : `${Math.ceil(s / 60)} min`}.`,
      failAccess: 'No access',
      failRefused: 'This message was not accepted',
      failBroken: 'Something went wrong on our side; please try again',
      failOld: 'This message was not sent before',
      source: {
        canned: 'Standard reply', faq: 'FAQ', related: 'Related FAQ', cache: 'Cached', model: 'AI-generated',
        handoff: 'Person', blocked: 'Blocked', held: 'In review',
      },
      choices: 'Did you mean',
      rating: 'Rate this reply',
      up: 'Helpful',
      down: 'Not helpful',
      why: 'What was wrong? (optional)',
      sendWhy: 'Submit',
      thanks: 'Thank you for the feedback',
      failRating: 'Your rating was not saved. Please try again.',
      citations: (n) => `Sources (${n})`,
      confidence: (percent) => `Confidence ${percent}%`,
      seconds: (s) => `${s} s`,
    },
  };

  const LOCALES = { zh: 'zh-CN', en: 'en' };

  /** 'zh' or 'en' for any language tag, the browser's own when none is given. */
  const languageOf = (tag) => ((tag || navigator.language || 'zh').toLowerCase().startsWith('zh') ? 'zh' : 'en');

  // -------------------------------------------------------------------------------------- style

  // Every text colour has a contrast of at least 4.5:1 on its background, in both themes
  // (tests/web/test_page.py computes it from the browser).
  const CSS = `
  :host { all: initial; display: block; }
  :host([hidden]), [hidden] { display: none !important; }
  :host([mode="page"]) { height: 100%; min-height: 280px; }
  *, ::before, ::after { box-sizing: border-box; }

  .root {
    --accent: var(--kefu-accent, #0f766e); --on-accent: var(--kefu-on-accent, #fff);
    --bubble: var(--kefu-accent, #0f766e); --on-bubble: var(--kefu-on-accent, #fff);
    --surface: #fff; --canvas: #f4f6f5; --line: #dfe5e3; --field-line: #7c8a86;
    --text: #17211f; --muted: #55635f; --focus: #0f766e;
    --good: #12633a; --good-bg: #e0f3e8; --info: #1d4fa8; --info-bg: #e5edfc;
    --calm: #4a5753; --calm-bg: #e9eeec; --ai: #0b5f58; --ai-bg: #dcf2ef;
    --warn: #85480a; --warn-bg: #fdf0d9; --bad: #a8211c; --bad-bg: #fde8e6;
    --shadow: 0 1px 2px rgb(18 38 34 / .06), 0 2px 8px rgb(18 38 34 / .05);
    --float: 0 4px 12px rgb(12 32 28 / .12), 0 16px 48px rgb(12 32 28 / .2);
    color-scheme: light; color: var(--text); height: 100%;
    font: 400 var(--kefu-font-size, 15px)/1.6 system-ui, -apple-system, "Segoe UI", "PingFang SC",
      "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif;
    -webkit-text-size-adjust: 100%; -webkit-font-smoothing: antialiased;
  }
  .root[data-theme="dark"] {
    --accent: var(--kefu-accent, #4fd1c0); --on-accent: var(--kefu-on-accent, #06201d);
    --bubble: var(--kefu-accent, #14625a); --on-bubble: var(--kefu-on-accent, #effcfa);
    --surface: #1c2423; --canvas: #121817; --line: #2f3a38; --field-line: #75837f;
    --text: #e9efed; --muted: #a3b1ad; --focus: #4fd1c0;
    --good: #8fe0b0; --good-bg: #173627; --info: #a9c7ff; --info-bg: #1d2e4c;
    --calm: #c2cdc9; --calm-bg: #2b3533; --ai: #86e3d6; --ai-bg: #14393a;
    --warn: #f6cb87; --warn-bg: #3d2d13; --bad: #ffb0a8; --bad-bg: #46211f;
    --shadow: 0 1px 2px rgb(0 0 0 / .3); --float: 0 8px 40px rgb(0 0 0 / .55);
    color-scheme: dark;
  }

  button, textarea, input { font: inherit; color: inherit; margin: 0; }
  button { border: 0; background: none; padding: 0; cursor: pointer; }
  button:disabled { cursor: default; }
  :focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; }
  p, h2, ul { margin: 0; padding: 0; }
  svg { display: block; width: 1.35em; height: 1.35em; fill: none; stroke: currentColor;
    stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
  .sr { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden;
    clip-path: inset(50%); white-space: nowrap; }

  /* The two modes: filling a container, or floating over somebody's page. */
  .panel { position: relative; display: flex; flex-direction: column; height: 100%; min-height: 0;
    background: var(--canvas); overflow: hidden; }
  [data-mode="bubble"] { position: fixed; z-index: var(--kefu-z-index, 2147483000); height: 0; width: 0; }
  [data-mode="bubble"] .panel { position: fixed; right: 20px; bottom: 92px; width: min(392px, calc(100vw - 40px));
    height: min(640px, calc(100vh - 116px)); height: min(640px, calc(100dvh - 116px));
    border: 1px solid var(--line); border-radius: 20px; box-shadow: var(--float);
    transform-origin: 100% 100%; animation: rise .22s cubic-bezier(.2, .9, .3, 1); }
  @keyframes rise { from { opacity: 0; transform: translateY(12px) scale(.97); } }
  [data-mode="page"] .launcher, [data-mode="page"] .bar { display: none; }

  .launcher { position: fixed; right: 20px; bottom: 20px; width: 56px; height: 56px; border-radius: 50%;
    display: grid; place-items: center; font-size: 20px; background: var(--accent); color: var(--on-accent);
    box-shadow: var(--float); transition: transform .15s; }
  .launcher:hover { transform: translateY(-2px); }
  .launcher:focus-visible { outline-offset: 3px; }
  .launcher .shut, .launcher[aria-expanded="true"] .talk { display: none; }
  .launcher[aria-expanded="true"] .shut { display: block; }
  .unread { position: absolute; top: -4px; right: -4px; min-width: 22px; height: 22px; padding: 0 6px;
    border-radius: 11px; background: #c3261f; color: #fff; font-size: 12px; font-weight: 600; line-height: 22px; }

  .bar { display: flex; align-items: center; gap: 10px; padding: 12px 10px 12px 16px; flex: none;
    background: var(--surface); border-bottom: 1px solid var(--line); }
  .mark { display: grid; place-items: center; width: 32px; height: 32px; border-radius: 10px; flex: none;
    font-size: 13px; background: var(--accent); color: var(--on-accent); }
  .title { flex: 1; min-width: 0; font-size: 1.07em; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
  .icon { display: grid; place-items: center; width: 40px; height: 40px; border-radius: 12px; flex: none; color: var(--muted); }
  .icon:hover { background: var(--calm-bg); color: var(--text); }

  /* The log. */
  .log { flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; }
  .log:focus-visible { outline-offset: -2px; }
  .column { display: flex; flex-direction: column; gap: 22px; max-width: 760px; margin: 0 auto; padding: 20px 16px 12px; }
  .greeting { padding: 8px 0 4px; }
  .greeting .mark { display: none; }
  .column:not(:has(.turn)) { min-height: 100%; justify-content: center; text-align: center; }
  .column:not(:has(.turn)) .greeting { padding: 0 0 8vh; }
  .column:not(:has(.turn)) .mark { display: grid; width: 52px; height: 52px; margin: 0 auto 18px; border-radius: 16px; font-size: 19px; }
  .greeting h2 { font-size: 1.4em; font-weight: 650; line-height: 1.35; letter-spacing: -.005em; }
  .greeting p { margin-top: 6px; color: var(--muted); }

  .turn { display: flex; flex-direction: column; gap: 10px; }
  .bubble, .text { white-space: pre-wrap; overflow-wrap: anywhere; }
  .bubble { align-self: flex-end; max-width: 85%; padding: 8px 14px; border-radius: 18px 18px 5px 18px;
    background: var(--bubble); color: var(--on-bubble); border: 1.5px solid var(--bubble); }
  .turn[data-state="queued"] .bubble, .turn[data-state="elsewhere"] .bubble { background: none; border-style: dashed; color: var(--text); }
  .card { align-self: flex-start; max-width: 94%; padding: 11px 15px; border-radius: 18px 18px 18px 5px;
    background: var(--surface); border: 1px solid var(--line); box-shadow: var(--shadow); }
  .card[data-source="held"] { background: none; border-style: dashed; border-color: var(--field-line); box-shadow: none; }
  .turn[data-state="retrying"] .text { color: var(--muted); }
  .turn[data-state="streaming"] .text::after { content: ""; display: inline-block; width: .5em; height: 1.05em;
    margin-left: 3px; vertical-align: -.16em; border-radius: 2px; background: var(--accent); animation: blink 1s steps(2) infinite; }
  @keyframes blink { 50% { opacity: 0; } }
  .dots { display: flex; gap: 5px; padding: 8px 2px; }
  .dots i { width: 7px; height: 7px; border-radius: 50%; background: var(--muted); animation: bob 1.2s infinite ease-in-out; }
  .dots i:nth-child(2) { animation-delay: .15s; } .dots i:nth-child(3) { animation-delay: .3s; }
  @keyframes bob { 0%, 60%, 100% { opacity: .35; } 30% { opacity: 1; transform: translateY(-3px); } }

  .meta { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 10px; margin-top: 9px; font-size: .82em; color: var(--muted); }
  .badge { padding: 1px 9px; border-radius: 99px; font-weight: 550; background: var(--calm-bg); color: var(--calm); }
  .badge[data-source="faq"] { background: var(--good-bg); color: var(--good); }
  .badge[data-source="model"] { background: var(--ai-bg); color: var(--ai); }
  .badge[data-source="handoff"] { background: var(--info-bg); color: var(--info); }
  .badge[data-source="related"] { background: var(--warn-bg); color: var(--warn); }
  .badge[data-source="held"] { background: var(--info-bg); color: var(--info); }
  .badge[data-source="held"]::before { content: ""; display: inline-block; width: .5em; height: .5em; margin-right: .5em;
    vertical-align: .06em; border-radius: 50%; background: currentColor; animation: breathe 2.8s ease-in-out infinite; }
  @keyframes breathe { 50% { opacity: .2; } }
  .badge[data-source="blocked"] { background: var(--bad-bg); color: var(--bad); }
  details { margin-top: 6px; font-size: .86em; }
  summary { width: fit-content; padding: 3px 0; border-radius: 6px; color: var(--muted); cursor: pointer; }
  summary:hover { color: var(--text); }
  .citations { margin: 3px 0 2px; padding-left: 12px; border-left: 2px solid var(--line); list-style: none; }
  .citations li { padding: 2px 0; overflow-wrap: anywhere; }
  .below { display: flex; align-items: flex-start; justify-content: space-between; flex-wrap: wrap; gap: 2px 14px; }
  .below .facts { flex: 0 1 auto; min-width: 0; }
  .thumbs { display: flex; gap: 2px; margin: 5px -6px -3px auto; }
  .thumb { display: grid; place-items: center; width: 30px; height: 30px; border-radius: 9px; font-size: 11.5px; color: var(--muted); }
  .thumb.down svg { transform: scaleY(-1); }
  .thumb:hover { background: var(--calm-bg); color: var(--text); }
  .thumb[aria-pressed="true"] { background: var(--good-bg); color: var(--good); }
  .thumb.down[aria-pressed="true"] { background: var(--warn-bg); color: var(--warn); }
  .thumb[aria-pressed="true"] svg { fill: currentColor; fill-opacity: .25; }
  .why { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 8px; font-size: .92em; }
  .why input { flex: 1 1 9em; min-width: 0; padding: 4px 11px; border-radius: 10px; border: 1px solid var(--field-line);
    background: var(--canvas); }
  .why input::placeholder { color: var(--muted); opacity: 1; }
  .why button { padding: 4px 14px; border-radius: 10px; font-weight: 550; background: var(--accent); color: var(--on-accent); }
  .why button:disabled { background: var(--calm-bg); color: var(--muted); }
  .said { margin-top: 6px; font-size: .86em; color: var(--muted); }
  .said.bad { color: var(--bad); }
  .choices { display: flex; flex-direction: column; align-items: flex-start; gap: 6px; margin-top: 10px; }
  .choice { max-width: 100%; padding: 6px 13px; border-radius: 12px; border: 1px solid var(--accent); color: var(--text);
    text-align: start; line-height: 1.45; overflow-wrap: anywhere; }
  .choice:hover:enabled { background: var(--ai-bg); }
  .choice:disabled { border-color: var(--line); color: var(--muted); }
  .citations code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: var(--muted); }

  .status { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 12px; font-size: .87em; color: var(--muted); }
  .status .what { min-width: 0; overflow-wrap: anywhere; }
  .status .detail { display: block; }
  .turn[data-state="failed"] .status { padding: 9px 13px; border-radius: 12px; background: var(--bad-bg); color: var(--bad); }
  .turn[data-state="failed"] .what { flex: 1 1 12em; }
  .turn[data-state="retrying"] .status { color: var(--warn); }
  .action { display: inline-flex; align-items: center; gap: 5px; min-height: 28px; padding: 2px 11px; border-radius: 99px;
    border: 1px solid currentColor; color: inherit; font-weight: 550; line-height: 1.4; }
  .action:hover { background: var(--surface); }
  .action svg { width: 1em; height: 1em; }
  .stop svg { fill: currentColor; }
  .stop { color: var(--text); border-color: var(--field-line); }

  .jump { position: absolute; left: 50%; top: -52px; margin-left: -20px; border-radius: 50%; background: var(--surface);
    border: 1px solid var(--line); box-shadow: var(--shadow); }
  .news { position: absolute; right: 16px; top: -44px; min-height: 32px; font-size: .87em; background: var(--surface); color: var(--text);
    border-color: var(--accent); box-shadow: var(--shadow); }

  /* The composer. */
  .composer { position: relative; flex: none; width: 100%; max-width: 760px; margin: 0 auto;
    padding: 6px 16px calc(10px + env(safe-area-inset-bottom, 0px)); }
  .composer::before { content: ""; position: absolute; inset: -18px 0 auto; height: 18px; pointer-events: none;
    background: linear-gradient(transparent, var(--canvas)); }
  .field { display: flex; align-items: flex-end; gap: 6px; padding: 5px 5px 5px 15px; border-radius: 24px;
    background: var(--surface); border: 1px solid var(--field-line); box-shadow: var(--shadow); }
  .field:has(textarea:focus) { outline: 2px solid var(--focus); outline-offset: -1px; }
  textarea { flex: 1; min-width: 0; height: 38px; max-height: 168px; padding: 7px 0; border: 0; background: none;
    resize: none; line-height: 24px; scrollbar-width: thin; overflow-y: auto; overflow-wrap: anywhere; }
  textarea:focus-visible { outline: 0; } /* the field around it has the ring */
  textarea::placeholder { color: var(--muted); opacity: 1; }
  .send { display: grid; place-items: center; flex: none; width: 38px; height: 38px; border-radius: 50%;
    background: var(--accent); color: var(--on-accent); transition: background .15s; }
  .send:disabled { background: var(--calm-bg); color: var(--muted); }
  .foot { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 16px; padding: 6px 4px 0; font-size: .78em; color: var(--muted); }
  .counter { font-variant-numeric: tabular-nums; margin-left: auto; }
  .counter.over { color: var(--bad); font-weight: 600; }
  [data-mode="bubble"] .hint { display: none; }
  @media (pointer: coarse) { textarea, input { font-size: 16px; } .hint { display: none; } .thumb { width: 40px; height: 36px; } } /* iOS zooms into smaller fields */

  @media (max-width: 480px), (max-height: 480px) {
    .hint { display: none; }
    [data-mode="bubble"] .panel { inset: 0; width: auto; height: auto; border: 0; border-radius: 0; }
    [data-mode="bubble"] .launcher[aria-expanded="true"] { display: none; }
    .column, .composer { padding-left: 12px; padding-right: 12px; }
  }
  @media (prefers-reduced-motion: reduce) {
    *, ::before, ::after { animation: none !important; transition: none !important; }
  }
  @media (forced-colors: active) {
    .bubble, .launcher, .send, .badge, .thumb[aria-pressed="true"] { border: 1px solid; }
  }`;

  const sheet = new CSSStyleSheet(); // one for all elements; a constructed sheet passes any style-src
  sheet.replaceSync(CSS);

  // ---------------------------------------------------------------------------------------- DOM

  /** An element with attributes (on… = listener; null and false are left out) and children. */
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else if (value != null && value !== false) element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children);
    return element;
  }

  const ICONS = {
    talk: 'M21 11.5a8.4 8.4 0 0 1-12.3 7.4L3 21l2.1-5.7A8.4 8.4 0 1 1 21 11.5Z',
    shut: 'M6 9l6 6 6-6',
    close: 'M6 6l12 12M18 6 6 18',
    send: 'M12 19V5M5.5 11.5 12 5l6.5 6.5',
    retry: 'M20 11a8 8 0 1 0-2.3 6.3M20 4v7h-7',
    stop: 'M7 7h10v10H7Z',
    down: 'M12 5v14M5.5 12.5 12 19l6.5-6.5',
    thumb: 'M7 10.5v10M7 10.5l4.2-7.4c1.7 0 2.7 1.1 2.4 2.8l-.7 3.6h5.6a2 2 0 0 1 2 2.4l-1.3 6.9a2.1 2.1 0 0 1-2 1.7H4.5a1 1 0 0 1-1-1v-8a1 1 0 0 1 1-1Z',
  };

  function icon(name, className = '') {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('aria-hidden', 'true');
    svg.setAttribute('class', className);
    const path = svg.appendChild(document.createElementNS(svg.namespaceURI, 'path'));
    path.setAttribute('d', ICONS[name]);
    return svg;
  }

  const mark = () => h('span', { class: 'mark', 'aria-hidden': 'true' }, icon('talk'));

  /** crypto.randomUUID is missing on plain http, which is how a desk in the local network is reached. */
  function randomUUID() {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }

  /** localStorage, or a Map for this page's life where the browser forbids or has filled it. */
  const memory = new Map();
  const storage = {
    get(name) {
      try { return localStorage.getItem(name) ?? memory.get(name) ?? null; } catch { return memory.get(name) ?? null; }
    },
    set(name, value) {
      try { localStorage.setItem(name, value); } catch { memory.set(name, value); }
    },
    remove(name) {
      memory.delete(name);
      try { localStorage.removeItem(name); } catch { /* it was only in memory */ }
    },
    names() {
      try { return [...Object.keys(localStorage), ...memory.keys()]; } catch { return [...memory.keys()]; }
    },
  };

  // -------------------------------------------------------------------------- server-sent events

  /**
   * Returns a function that takes decoded text, cut anywhere, and gives the events it completes
   * as [{type, data}]. Lines end in LF, CRLF or CR, as the HTML standard has it.
   */
  function eventParser() {
    let rest = '';
    let afterCR = false; // a CR that ended a chunk may be the first half of a CRLF
    let type = '';
    let data = [];

    const finish = () => {
      const event = data.length ? { type: type || 'message', data: data.join('\n') } : null;
      type = '';
      data = [];
      return event;
    };
    const take = (line) => {
      if (line === '') return finish();
      const colon = line.indexOf(':');
      const field = colon < 0 ? line : line.slice(0, colon); // '' for a comment, which is skipped
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'event') type = value;
      if (field === 'data') data.push(value);
      return null;
    };
    return (chunk) => {
      if (!chunk) return [];
      const text = afterCR && chunk.startsWith('\n') ? chunk.slice(1) : chunk;
      afterCR = chunk.endsWith('\r');
      const lines = (rest + text).split(/\r\n|\n|\r/);
      rest = lines.pop();
      return lines.map(take).filter(Boolean);
    };
  }

  /** The events of a response body; `alive` is called for every chunk, heartbeats included. */
  async function* readEvents(body, alive) {
    const reader = body.getReader();
    const decoder = new TextDecoder(); // keeps the bytes of a character cut in two
    const parse = eventParser();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        alive();
        yield* parse(decoder.decode(value, { stream: true }));
      }
    } finally {
      reader.cancel().catch(noop);
    }
  }

  // -------------------------------------------------------------------------------- one request

  /**
   * Why there is no reply. `kind` says what to do about it:
   *   lost     no answer, or one cut short: try again
   *   busy     the server says "later": try again
   *   refused  4xx: trying again would not help
   *   broken   the server failed at it: a person may try again
   *   stopped  somebody here gave up
   */
  class Failure extends Error {
    constructor(kind, problem = {}, retryAfterMs = 0) {
      super(problem.detail || problem.title || kind);
      Object.assign(this, { kind, problem, retryAfterMs });
    }

    get passes() {
      return this.kind === 'lost' || this.kind === 'busy';
    }
  }

  function failureOf(problem, retryAfterMs) {
    const status = Number(problem.status) || 500;
    if (TRY_LATER.has(status)) return new Failure('busy', problem, retryAfterMs);
    return new Failure(status >= 400 && status < 500 ? 'refused' : 'broken', problem);
  }

  /** Retry-After is seconds or a date; another origin sees it only if CORS exposes it, so the body has it too. */
  function retryAfterOf(header, problem) {
    const asked = header ?? problem.retry_after ?? 0;
    const ms = Number.isFinite(Number(asked)) ? Number(asked) * 1000 : Date.parse(asked) - Date.now();
    return Math.max(0, ms || 0);
  }

  async function failureOfResponse(response) {
    const body = await response.json().catch(() => null);
    const problem = { title: response.statusText, ...body, status: response.status };
    return failureOf(problem, retryAfterOf(response.headers.get('Retry-After'), problem));
  }

  /** A signal that aborts with `outer`, or when `alive` has not been called for `silenceMs`. */
  function watch(outer, silenceMs) {
    const controller = new AbortController();
    const abort = () => controller.abort();
    let timer = setTimeout(abort, silenceMs);
    outer.addEventListener('abort', abort);
    return {
      signal: controller.signal,
      alive() {
        clearTimeout(timer);
        timer = setTimeout(abort, silenceMs);
      },
      end() {
        clearTimeout(timer);
        outer.removeEventListener('abort', abort);
      },
    };
  }

  /** The reply in a streamed response. */
  async function readStream(response, alive, onDelta) {
    for await (const { type, data } of readEvents(response.body, alive)) {
      if (type === 'delta') onDelta(JSON.parse(data).text);
      if (type === 'done') return JSON.parse(data);
      if (type === 'error') {
        const problem = JSON.parse(data);
        throw failureOf(problem, retryAfterOf(null, problem));
      }
    }
    throw new Failure('lost'); // it ended without saying so
  }

  /** One try: what `read(response, alive)` makes of the response, or a Failure. */
  async function request(url, { signal, ...options }, read) {
    if (signal.aborted) throw new Failure('stopped');
    const watched = watch(signal, SILENCE_MS);
    try {
      const response = await fetch(url, { ...options, cache: 'no-store', signal: watched.signal });
      watched.alive();
      if (!response.ok) throw await failureOfResponse(response);
      return await read(response, watched.alive);
    } catch (error) {
      if (signal.aborted) throw new Failure('stopped');
      // fetch tells a broken connection by TypeError and AbortError, garbage by SyntaxError.
      throw error instanceof Failure ? error : new Failure('lost', { detail: String(error) });
    } finally {
      watched.end();
    }
  }

  /** POST /chat: the whole reply object. */
  function requestReply(url, { onDelta, ...options }) {
    return request(url, { method: 'POST', ...options }, (response, alive) => {
      const media = response.headers.get('Content-Type') || '';
      return media.includes('json') ? response.json() : readStream(response, alive, onDelta);
    });
  }

  /** GET /chat/updates, which takes until there is one: [replies that came later], and where to go on from. */
  function requestUpdates(url, options) {
    return request(url, options, async (response) => {
      const { updates, next } = await response.json();
      return [[...updates], Number(next)];
    });
  }

  // --------------------------------------------------------------------- delivery with retries

  /** Waits; an event ends the wait at once (coming back online, unless told otherwise), and so does an abort. */
  function pause(ms, signal, target = window, type = 'online') {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        target.removeEventListener(type, finish);
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      target.addEventListener(type, finish);
      signal.addEventListener('abort', finish);
    });
  }

  /** A little less than the table says, at random, so that a desk that restarts is not met by all at once. */
  const backoff = (tries) => BACKOFF_MS[Math.min(tries, BACKOFF_MS.length - 1)] * (0.75 + Math.random() / 4);

  /**
   * Calls `attempt` until it gives a reply, fails for good, or the budget is spent. `onRetry` hears
   * of each failure that will be tried again: (failure, milliseconds until then).
   */
  async function deliver(attempt, signal, onRetry) {
    let deadline = null;
    for (let tries = 0; ; tries += 1) {
      try {
        return await attempt();
      } catch (failure) {
        if (!failure.passes) throw failure;
        deadline ??= Date.now() + RETRY_BUDGET_MS;
        const wait = Math.max(backoff(tries), failure.retryAfterMs);
        if (Date.now() + wait > deadline) throw failure;
        onRetry(failure, wait);
        await pause(wait, signal);
      }
    }
  }

  // --------------------------------------------------------------------------------- the outbox

  /**
   * Messages without a reply yet, kept over a reload: {key, text, at}. One storage entry each, so
   * that two tabs never overwrite each other's. With the message goes its Idempotency-Key, which is
   * what makes sending it again safe.
   */
  class Outbox {
    constructor(server, uid) {
      this.prefix = `kefu.pending:${server}:${uid}:`;
    }

    put({ key, text, at }) {
      storage.set(this.prefix + key, JSON.stringify({ key, text, at }));
    }

    has(key) {
      return storage.get(this.prefix + key) !== null;
    }

    remove(key) {
      storage.remove(this.prefix + key);
    }

    list() {
      const parse = (name) => {
        try { return JSON.parse(storage.get(name)); } catch { return null; }
      };
      return storage.names().filter((name) => name.startsWith(this.prefix)).map(parse)
        .filter((message) => message?.key && message.text).sort((a, b) => a.at - b.at);
    }

    /** Tells of a message that another tab has settled, until `signal` aborts. */
    onSettledElsewhere(listener, signal) {
      addEventListener('storage', (event) => {
        if (event.key?.startsWith(this.prefix) && event.newValue === null) listener(event.key.slice(this.prefix.length));
      }, { signal });
    }
  }

  /**
   * Runs `task` while no other tab runs one of the same name; `onWait` tells that one does.
   * Without Web Locks (plain http) it just runs: the shared key keeps the server from doubling.
   */
  async function exclusively(name, signal, onWait, task) {
    const { locks } = navigator;
    if (!locks) return task();
    const free = await locks.request(name, { ifAvailable: true }, (lock) => lock && task().then((value) => ({ value })));
    if (free) return free.value;
    onWait();
    try {
      return await locks.request(name, { signal }, task);
    } catch (error) {
      throw error.name === 'AbortError' ? new Failure('stopped') : error;
    }
  }

  // --------------------------------------------------------------------------------- held turns

  /** Ids of turns that wait for a person, kept over a reload: a closed bubble asks for their replies too. */
  class HeldTurns {
    constructor(server, uid) {
      this.prefix = `kefu.held:${server}:${uid}:`;
    }

    put(id) {
      storage.set(this.prefix + id, '1');
    }

    remove(id) {
      storage.remove(this.prefix + id);
    }

    list() {
      return storage.names().filter((name) => name.startsWith(this.prefix)).map((name) => name.slice(this.prefix.length));
    }
  }

  // --------------------------------------------------------------------------- the conversation

  /**
   * A turn is {key, text, at, state, partial, reply, failure, retryAt, elapsedMs, rated, repliedAfter};
   * its state is one of queued, elsewhere, sending, streaming, retrying, done, failed, stopped. `rated`
   * is what a person did here with the thumbs: {rating, reason, failed}; `repliedAfter` is the turn
   * that was the last one when a held one got its reply.
   */
  const isRunning = ({ state }) => state === 'sending' || state === 'streaming' || state === 'retrying';
  const isWaiting = ({ state }) => state === 'queued' || state === 'elsewhere';
  /** Its reply says only that a person looks first; the answer comes later, in its place. */
  const isHeld = ({ reply }) => reply?.source === 'held';

  function turnOfHistory({ question, created_at: createdAt, ...reply }) {
    const at = new Date(createdAt ?? NaN).getTime(); // milliseconds since 1970, or an ISO date
    return { key: null, text: question, at, state: 'done', partial: '', reply };
  }

  /**
   * One customer's talk with one desk: what was said, what is still to be sent, one at a time and
   * in order. Knows nothing of the page; `view` hears of changes: added(turn, index), changed(turn),
   * delta(turn, text), removed(turn), replied(turns), failed(turn), unrated(turn).
   */
  class Conversation {
    turns = [];
    #queue = [];
    #pumping = false;
    #life = new AbortController();
    #historyWanted = true;
    #ratings = Promise.resolve();
    #updates = new Map(); // later replies by turn_id; one may be here before its turn is
    #seq = 0; // of the last of them
    #following = false;

    constructor({ server, uid, headers }, view) {
      Object.assign(this, { server, uid, headers, view, outbox: new Outbox(server, uid), held: new HeldTurns(server, uid) });
    }

    /** Takes up what an earlier page left unsent and shows what was said before. */
    start({ withHistory }) {
      this.#historyWanted = withHistory;
      this.outbox.onSettledElsewhere((key) => this.#settledElsewhere(key), this.#life.signal);
      for (const message of this.outbox.list()) this.#resume(message);
      this.#loadHistory();
    }

    /** Ends all work without settling it: the outbox keeps what was not sent. */
    end() {
      this.#life.abort();
      this.#queue = [];
    }

    send(text) {
      const turn = { key: randomUUID(), text, at: Date.now(), state: 'queued', partial: '' };
      this.#add(turn);
      this.#enqueue(turn);
    }

    retry(turn) {
      if (turn.state !== 'failed' && turn.state !== 'stopped') return;
      this.#change(turn, { state: 'queued', failure: null, partial: '' });
      this.#enqueue(turn);
    }

    /** Stops the running turn, or takes back one that still waits. */
    stop(turn) {
      this.outbox.remove(turn.key);
      this.#queue = this.#queue.filter((other) => other !== turn);
      if (turn.abort) turn.abort.abort();
      else this.#change(turn, { state: 'stopped' });
    }

    // Rating a reply.

    /**
     * `rating` is 'up', 'down' or null, which takes it back. Shown at once; where it does not get
     * through, what the desk knows is shown again.
     */
    rate(turn, rating, reason = '') {
      this.#change(turn, { rated: { rating, reason } });
      // In the order of the clicks: the last one is what counts.
      this.#ratings = this.#ratings.then(() => this.#sendRating(turn, rating, reason));
    }

    async #sendRating(turn, rating, reason) {
      const watched = watch(this.#life.signal, RATING_TIMEOUT_MS);
      const body = JSON.stringify({ uid: this.uid, turn_id: turn.reply.turn_id, rating, reason });
      const headers = { ...this.headers(), 'Content-Type': 'application/json' };
      let failed = true;
      try {
        const response = await fetch(`${this.server}/chat/rating`, { method: 'POST', headers, body, signal: watched.signal });
        failed = !response.ok;
      } catch {
        // Said under the thumbs.
      } finally {
        watched.end();
      }
      if (this.#life.signal.aborted) return;
      if (!failed) turn.reply = { ...turn.reply, rating };
      const isLast = turn.rated.rating === rating && turn.rated.reason === reason;
      if (failed && isLast) {
        this.#change(turn, { rated: { rating: turn.reply.rating ?? null, reason: '', failed } });
        this.view.unrated(turn);
      }
    }

    #add(turn, index = this.turns.length) {
      this.turns.splice(index, 0, turn);
      this.view.added(turn, index);
    }

    #remove(turn) {
      this.turns = this.turns.filter((other) => other !== turn);
      this.#queue = this.#queue.filter((other) => other !== turn);
      this.view.removed(turn);
    }

    #change(turn, changes) {
      Object.assign(turn, changes);
      this.view.changed(turn);
    }

    #resume(message) {
      const turn = { ...message, state: 'queued', partial: '' };
      const old = Date.now() - turn.at > RESUME_WITHIN_MS;
      if (old) Object.assign(turn, { state: 'failed', failure: new Failure('old') });
      this.#add(turn);
      if (!old) this.#enqueue(turn);
    }

    // Sending: one at a time, in the order they were written.

    #enqueue(turn) {
      this.outbox.put(turn);
      this.#queue.push(turn);
      this.#pump();
    }

    async #pump() {
      if (this.#pumping) return;
      this.#pumping = true;
      while (this.#queue.length) await this.#run(this.#queue.shift());
      this.#pumping = false;
    }

    async #run(turn) {
      const abort = new AbortController();
      const end = () => abort.abort();
      this.#life.signal.addEventListener('abort', end);
      turn.abort = abort;
      try {
        const reply = await this.#sendAlone(turn, abort.signal);
        if (!this.#life.signal.aborted) this.#finish(turn, reply);
      } catch (error) {
        if (!(error instanceof Failure)) reportError(error); // a fault of this file: seen, not swallowed
        if (!this.#life.signal.aborted) this.#fail(turn, error instanceof Failure ? error : new Failure('broken'));
      } finally {
        turn.abort = null;
        this.#life.signal.removeEventListener('abort', end);
      }
    }

    /** The reply, or null when another tab has settled this turn while we waited for it. */
    #sendAlone(turn, signal) {
      let waited = false;
      const wait = () => {
        waited = true;
        this.#change(turn, { state: 'elsewhere' });
      };
      const task = async () => {
        if (waited) await pause(STORAGE_LAG_MS, signal);
        if (waited && !this.outbox.has(turn.key)) return null;
        const reply = await this.#deliver(turn, signal);
        this.outbox.remove(turn.key); // before the lock goes to a tab that would send it again
        return reply;
      };
      return exclusively(`kefu:${turn.key}`, signal, wait, task);
    }

    #deliver(turn, signal) {
      const body = JSON.stringify({ uid: this.uid, message: turn.text, stream: true });
      const startedAt = performance.now();
      const attempt = async () => {
        let fresh = true; // the text of an earlier try stays until this one brings its own
        if (turn.state !== 'retrying') this.#change(turn, { state: 'sending' });
        const headers = { ...this.headers(), 'Content-Type': 'application/json', Accept: 'text/event-stream', 'Idempotency-Key': turn.key };
        const onDelta = (text) => {
          this.#grow(turn, text, fresh);
          fresh = false;
        };
        return requestReply(`${this.server}/chat`, { headers, body, signal, onDelta });
      };
      const onRetry = (failure, waitMs) => this.#change(turn, { state: 'retrying', failure, waitMs });
      return deliver(attempt, signal, onRetry).then((reply) => {
        turn.elapsedMs = performance.now() - startedAt;
        return reply;
      });
    }

    #grow(turn, text, fresh) {
      if (typeof text !== 'string' || !text) return;
      if (fresh) turn.partial = '';
      turn.partial += text;
      if (fresh) this.#change(turn, { state: 'streaming', failure: null });
      else this.view.delta(turn, text);
    }

    /** `reply` is null where another tab has got it. */
    #finish(turn, reply) {
      if (!reply) return this.#fetchFromHistory(turn);
      const twin = this.turns.find((other) => other !== turn && other.reply?.turn_id && other.reply.turn_id === reply.turn_id);
      if (twin) this.#remove(twin); // history had it already: this was a replay
      this.#change(turn, { state: 'done', reply, failure: null, partial: '' });
      this.#showShadow(turn);
      this.#settle(turn);
      if (this.#historyWanted) this.#loadHistory(); // an outage hid it at the start
    }

    #fail(turn, failure) {
      if (failure.kind === 'stopped') {
        this.#change(turn, { state: 'stopped', failure: null });
      } else {
        if (failure.kind === 'refused') this.outbox.remove(turn.key);
        this.#change(turn, { state: 'failed', failure });
        this.view.failed(turn);
        if (failure.passes) this.#failWaiting(failure);
      }
      this.#showShadow(turn);
      this.#settle();
    }

    /** With the desk out of reach, what waits would each wait out the whole budget again. */
    #failWaiting(failure) {
      for (const turn of this.#queue.splice(0)) this.#change(turn, { state: 'failed', failure });
    }

    // What was said before, and in other tabs.

    async #loadHistory() {
      if (!this.#historyWanted) return;
      const watched = watch(this.#life.signal, HISTORY_TIMEOUT_MS);
      try {
        const url = `${this.server}/chat/history?uid=${encodeURIComponent(this.uid)}`;
        const response = await fetch(url, { headers: this.headers(), cache: 'no-store', signal: watched.signal });
        this.#historyWanted = response.status >= 500;
        if (response.ok) this.#merge((await response.json()).turns ?? []);
      } catch {
        // The talk goes on without its past.
      } finally {
        watched.end();
      }
    }

    /** Puts the turns that are not shown yet where they belong. */
    #merge(history) {
      if (this.#life.signal.aborted) return;
      let index = 0;
      for (const turn of this.#castShadows(history.map(turnOfHistory))) {
        const known = this.turns.findIndex(({ reply }) => reply && reply.turn_id === turn.reply.turn_id);
        if (known < 0) this.#add(turn, index);
        else if (!isHeld(turn)) this.#updates.set(turn.reply.turn_id, turn.reply); // decided meanwhile
        index = (known < 0 ? index : known) + 1;
      }
      const shown = this.turns.map(({ reply }) => reply?.turn_id);
      for (const id of this.held.list().filter((id) => !shown.includes(id))) this.held.remove(id); // of a talk that is over
      this.#settle();
    }

    /**
     * A turn that the server finished and whose reply we missed stands both in the history and in
     * the outbox. It is sent again, to be replayed, and its twin stays hidden until that is settled.
     */
    #castShadows(past) {
      const open = this.turns.filter((turn) => isRunning(turn) || isWaiting(turn));
      let candidates = open.length ? past.slice(-open.length) : [];
      for (const turn of open) {
        turn.shadow = candidates.find(({ text }) => text === turn.text);
        candidates = candidates.filter((twin) => twin !== turn.shadow);
      }
      return past.filter((twin) => !open.some((turn) => turn.shadow === twin));
    }

    #showShadow(turn) {
      const { shadow } = turn;
      turn.shadow = null;
      if (shadow && shadow.reply.turn_id !== turn.reply?.turn_id) this.#add(shadow, this.turns.indexOf(turn));
    }

    #settledElsewhere(key) {
      const turn = this.turns.find((other) => other.key === key);
      if (!turn?.abort) this.#fetchFromHistory(turn); // else it is at work here and will notice
    }

    /** Another tab has had the reply to this turn, or to one that this tab never knew. */
    #fetchFromHistory(turn) {
      if (turn?.state === 'done') return;
      if (turn) this.#remove(turn);
      this.#historyWanted = true;
      this.#loadHistory();
    }

    // Replies that come later, where a person looks at the message first.

    /**
     * Puts what came later in the place of the holding replies, tells of all that is new (`fresh`:
     * turns whose reply has just come), and asks for more while one is held.
     */
    #settle(...fresh) {
      const ready = this.turns.filter((turn) => isHeld(turn) && this.#updates.has(turn.reply.turn_id));
      for (const turn of ready) this.#replace(turn);
      const awaited = this.held.list(); // here, or on a page that is gone
      const isNews = (turn) => fresh.includes(turn) || ready.includes(turn) || (!isHeld(turn) && awaited.includes(turn.reply?.turn_id));
      const news = this.turns.filter(isNews);
      for (const { reply } of news) this.held.remove(reply.turn_id);
      const open = this.turns.filter(isHeld);
      for (const { reply } of open) this.held.put(reply.turn_id);
      if (news.length) this.view.replied(news);
      if (open.length) this.#follow();
    }

    #replace(turn) {
      const { seq, created_at: createdAt, ...later } = this.#updates.get(turn.reply.turn_id);
      this.#change(turn, { reply: { ...turn.reply, ...later, timings_ms: {} }, elapsedMs: null, repliedAfter: this.turns.at(-1) });
    }

    /** One request at a time for as long as a reply is awaited. */
    async #follow() {
      if (this.#following) return;
      this.#following = true;
      const { signal } = this.#life;
      try {
        for (let tries = 0; !signal.aborted && this.turns.some(isHeld);) tries = await this.#ask(tries, signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error; // refused: asking again would not help
      } finally {
        this.#following = false;
      }
    }

    /** One request for later replies and the rest after it; how many have failed in a row. */
    async #ask(tries, signal) {
      // A browser has six connections to a desk for all tabs: one that nobody sees must not keep any.
      if (document.hidden) await pause(UPDATES_WAIT_S * 1000, signal, document, 'visibilitychange');
      try {
        await this.#fetchUpdates(document.hidden ? 0 : UPDATES_WAIT_S, signal);
        return 0;
      } catch (failure) {
        if (!failure.passes && failure.kind !== 'broken') throw failure;
        await pause(Math.max(backoff(tries), failure.retryAfterMs), signal);
        return tries + 1;
      }
    }

    async #fetchUpdates(seconds, signal) {
      const url = `${this.server}/chat/updates?uid=${encodeURIComponent(this.uid)}&after=${this.#seq}&wait=${seconds}`;
      const askedAt = performance.now();
      const [updates, next] = await requestUpdates(url, { headers: this.headers(), signal });
      if (signal.aborted) return;
      // A desk that stops lets go of those who wait: it is not to be asked again at once.
      if (next === this.#seq && performance.now() - askedAt < seconds * 500) throw new Failure('lost');
      this.#seq = next;
      for (const update of updates) this.#updates.set(update.turn_id, update);
      this.#settle();
    }
  }

  // ------------------------------------------------------------------------- the view of a turn

  /** What the line under a turn says, or '' where there is nothing to say. */
  function statusText({ state, failure, waitMs }, words) {
    if (state === 'failed') return failureText(failure, words);
    if (state !== 'retrying') return words[state] ?? ''; // done and streaming speak for themselves
    if (!navigator.onLine) return words.offline;
    if (failure.retryAfterMs) return words.retryIn(Math.ceil(waitMs / 1000));
    return failure.kind === 'busy' ? words.retryBusy : words.retryLost;
  }

  function failureText({ kind, problem, retryAfterMs }, words) {
    if (kind === 'old') return words.failOld;
    if (kind === 'lost') return words.failLost;
    if (kind === 'busy') return retryAfterMs ? words.failLater(Math.ceil(retryAfterMs / 1000)) : words.failBusy;
    if (kind === 'broken') return words.failBroken;
    return problem.status === 401 || problem.status === 403 ? words.failAccess : words.failRefused;
  }

  /** The server's own words on a failure; those of a lost connection are the browser's and help nobody. */
  const failureDetail = ({ kind, problem }) => (kind === 'lost' ? '' : problem.detail || problem.title || '');

  /** Sets text only where it differs, so that a selection in it survives. */
  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  const RELATED = 0.5; // a quotation has at most this confidence (turn/draft.py)

  function badgeView({ source, confidence }, words) {
    // An entry that is quoted without being sure of it is not the answer from the FAQ.
    const kind = source === 'faq' && confidence <= RELATED ? 'related' : source;
    return h('span', { class: 'badge', 'data-source': kind }, words.source[kind] ?? String(kind));
  }

  /** The time of day, with the date where it is not today. */
  function timeText(at, locale) {
    const clock = { hour: '2-digit', minute: '2-digit' };
    const today = at.toDateString() === new Date().toDateString();
    return at.toLocaleString(locale, today ? clock : { ...clock, month: 'short', day: 'numeric' });
  }

  const ANSWERS = new Set(['faq', 'model', 'cache', 'canned']); // the others are none: no time taken, no thumbs
  const JUDGED = new Set(['faq', 'cache', 'model']); // the others were not a guess

  function metaView({ reply, elapsedMs, at }, words, locale) {
    const facts = [];
    if (reply.source) facts.push(badgeView(reply, words));
    if (JUDGED.has(reply.source) && Number.isFinite(reply.confidence)) {
      facts.push(h('span', {}, words.confidence(Math.round(reply.confidence * 100))));
    }
    const totalMs = reply.timings_ms?.total ?? elapsedMs;
    if (Number.isFinite(totalMs) && ANSWERS.has(reply.source)) facts.push(h('span', {}, words.seconds((totalMs / 1000).toFixed(totalMs < 100 ? 2 : 1))));
    if (Number.isFinite(at)) facts.push(h('time', { datetime: new Date(at).toISOString() }, timeText(new Date(at), locale)));
    const stages = Object.entries(reply.timings_ms ?? {}).map(([stage, ms]) => `${stage} ${Number(ms).toFixed(1)} ms`);
    return h('div', { class: 'meta', title: stages.join('\n') || null }, ...facts);
  }

  function citationsView(citations, words) {
    const item = ({ id, title }) => h('li', {}, title || '', ' ', h('code', {}, String(id ?? '')));
    return h('details', {}, h('summary', {}, words.citations(citations.length)), h('ul', { class: 'citations' }, ...citations.map(item)));
  }

  /** "Did you mean": questions to ask with one click, as long as nothing else was asked. */
  class ChoicesView {
    constructor(choices, choose) {
      this.buttons = choices.map(({ title }) => h('button', { class: 'choice', type: 'button', dir: 'auto', onclick: () => choose(String(title)) }, String(title)));
      this.element = h('div', { class: 'choices', role: 'group' }, ...this.buttons);
    }

    update(words, isLast) {
      this.element.setAttribute('aria-label', words.choices);
      for (const button of this.buttons) button.disabled = !isLast;
    }
  }

  /** Thumbs under a reply, and after a thumb down a field for the reason. */
  class RatingView {
    #rate;
    #isOpen = false; // the field for the reason

    constructor(rate) {
      this.#rate = rate;
      this.up = this.#thumb('up');
      this.down = this.#thumb('down');
      this.thumbs = h('div', { class: 'thumbs', role: 'group' }, this.up, this.down);
      this.input = h('input', { type: 'text', maxlength: MAX_REASON, autocomplete: 'off', enterkeyhint: 'send', oninput: () => this.#onInput(),
        onkeydown: (event) => this.#onKey(event) });
      for (const type of ['keypress', 'keyup']) this.input.addEventListener(type, (event) => event.stopPropagation());
      this.submit = h('button', { type: 'submit', disabled: true });
      this.why = h('form', { class: 'why', onsubmit: (event) => this.#onSubmit(event) }, this.input, this.submit);
      this.said = h('div', { class: 'said' });
      this.element = h('div', { class: 'rating' }, this.why, this.said);
    }

    update({ reply, rated }, words) {
      const rating = rated ? rated.rating : reply.rating;
      for (const [thumb, value] of [[this.up, 'up'], [this.down, 'down']]) {
        thumb.setAttribute('aria-pressed', String(rating === value));
        thumb.setAttribute('aria-label', words[value]);
        thumb.title = words[value];
      }
      this.thumbs.setAttribute('aria-label', words.rating);
      this.input.placeholder = words.why;
      this.input.setAttribute('aria-label', words.why);
      setText(this.submit, words.sendWhy);
      this.why.hidden = !this.#isOpen || rating !== 'down';
      const said = rated?.failed ? words.failRating : rated?.reason ? words.thanks : '';
      setText(this.said, said);
      this.said.hidden = !said;
      this.said.classList.toggle('bad', Boolean(rated?.failed));
    }

    #thumb(value) {
      const click = () => {
        const rating = this[value].getAttribute('aria-pressed') === 'true' ? null : value;
        this.#isOpen = rating === 'down';
        this.#rate(rating);
      };
      return h('button', { class: `thumb ${value}`, type: 'button', onclick: click }, icon('thumb'));
    }

    #onInput() {
      this.submit.disabled = !this.input.value.trim();
    }

    #onKey(event) {
      if (event.key !== 'Escape') event.stopPropagation();
      if (event.key === 'Enter' && isComposing(event)) event.preventDefault();
    }

    #onSubmit(event) {
      event.preventDefault();
      const reason = wellFormed(this.input.value).trim();
      if (!reason) return;
      this.#isOpen = false;
      this.#rate('down', reason);
      this.down.focus(); // the field that had it is gone
    }
  }

  /** One question, its reply and what became of it. `update` brings it in line with the turn. */
  class TurnView {
    constructor(turn, { retry, stop, rate, choose }) {
      this.turn = turn;
      this.you = h('span', { class: 'sr' });
      this.desk = h('span', { class: 'sr' });
      this.text = h('div', { class: 'text', dir: 'auto' });
      this.dots = h('div', { class: 'dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i'));
      this.facts = h('div', { class: 'facts' });
      this.rating = new RatingView(rate);
      this.choose = choose;
      this.below = h('div', { class: 'below' }, this.facts, this.rating.thumbs);
      this.card = h('div', { class: 'card' }, this.desk, this.text, this.dots, this.below, this.rating.element);
      this.what = h('span', { class: 'what' });
      this.retry = h('button', { class: 'action retry', type: 'button', onclick: retry });
      this.stop = h('button', { class: 'action stop', type: 'button', onclick: stop });
      this.status = h('div', { class: 'status' }, this.what, this.retry, this.stop);
      const bubble = h('div', { class: 'bubble', dir: 'auto' }, turn.text);
      // Announcing is the live region's work; a reply that grows here would be read out in pieces.
      this.element = h('div', { class: 'turn', 'aria-live': 'off' }, this.you, bubble, this.card, this.status);
    }

    update(words, locale, isLast) {
      const { turn } = this;
      this.element.dataset.state = turn.state;
      setText(this.you, `${words.you}: `);
      setText(this.desk, `${words.desk}: `);
      this.#updateCard(words, locale);
      this.#updateChoices(words, isLast);
      this.#updateRating(words);
      this.#updateStatus(words);
    }

    #updateCard(words, locale) {
      const { turn } = this;
      const text = turn.reply?.reply ?? turn.partial;
      this.card.dataset.source = turn.reply?.source ?? '';
      setText(this.text, text);
      this.text.hidden = !text;
      this.dots.hidden = Boolean(text) || !isRunning(turn);
      this.card.hidden = !text && this.dots.hidden;
      this.#updateFacts(words, locale);
    }

    #updateFacts(words, locale) {
      const { reply } = this.turn;
      this.facts.hidden = !reply;
      if (!reply) return;
      const unfolded = Boolean(this.facts.querySelector('details')?.open);
      this.facts.replaceChildren(metaView(this.turn, words, locale));
      if (!reply.citations?.length) return;
      const citations = citationsView(reply.citations, words);
      citations.open = unfolded;
      this.facts.append(citations);
    }

    #updateChoices(words, isLast) {
      const { reply } = this.turn;
      if (!this.choices && reply?.choices?.length) {
        this.choices = new ChoicesView(reply.choices, this.choose);
        this.below.before(this.choices.element);
      }
      this.choices?.update(words, isLast);
    }

    #updateRating(words) {
      const { turn } = this;
      const isRated = turn.state === 'done' && Boolean(turn.reply?.turn_id) && ANSWERS.has(turn.reply.source);
      this.rating.thumbs.hidden = !isRated;
      this.rating.element.hidden = !isRated;
      if (isRated) this.rating.update(turn, words);
    }

    #updateStatus(words) {
      const { turn } = this;
      const text = statusText(turn, words);
      setText(this.what, text);
      this.what.hidden = !text;
      if (turn.state === 'failed') {
        const detail = failureDetail(turn.failure);
        if (detail) this.what.append(h('span', { class: 'detail' }, detail));
      }
      this.retry.replaceChildren(icon('retry'), words.retry);
      if (turn.state === 'queued') this.stop.replaceChildren(icon('close'), words.cancel);
      else this.stop.replaceChildren(icon('stop'), words.stop);
      this.retry.hidden = turn.state !== 'failed' && turn.state !== 'stopped';
      this.stop.hidden = !isRunning(turn) && turn.state !== 'queued';
      this.status.hidden = !text && this.retry.hidden && this.stop.hidden;
    }

    /** More of the reply: cheaper than an update for every token. */
    grow(text) {
      this.text.append(text);
    }
  }

  // -------------------------------------------------------------------------------- the element

  const length = (text) => Array.from(text).length; // code points, as the server counts
  /** Half of a surrogate pair is no character and could not be encoded. */
  const wellFormed = (text) => (text.toWellFormed ? text.toWellFormed() : text);

  /**
   * Whether this key belongs to an input method. Safari ends the composition before the keydown of
   * the Enter that did it, so there isComposing is false already; only the old 229 still tells.
   */
  const isComposing = (event) => event.isComposing || event.keyCode === 229;

  class KefuChat extends HTMLElement {
    static observedAttributes = ['server', 'uid', 'lang', 'theme', 'mode', 'api-key', 'heading'];

    #parts = null;
    #conversation = null;
    #views = new Map();
    #atBottom = true;
    #scrolledTo = 0;
    #unread = 0;
    #news = new Set(); // turns with a reply above what is seen: a later one may be far up the talk
    #systemTheme = matchMedia('(prefers-color-scheme: dark)');

    // Life.

    connectedCallback() {
      this.#parts ??= this.#build();
      this.#systemTheme.addEventListener('change', this.#applyTheme);
      this.#apply();
      this.#begin();
    }

    disconnectedCallback() {
      this.#systemTheme.removeEventListener('change', this.#applyTheme);
      this.#end();
    }

    attributeChangedCallback(name, before, after) {
      if (!this.#parts || before === after) return;
      if (name === 'lang') this.#parts.announcer.replaceChildren(); // it would speak the other language
      this.#apply();
      const restart = (name === 'server' || name === 'uid') && this.isConnected;
      if (restart) this.#end();
      if (restart || name === 'mode') this.#begin();
    }

    // For the page around it.

    open() {
      if (this.#mode !== 'bubble' || this.#isOpen) return;
      this.#parts.panel.hidden = false;
      this.#unread = 0;
      this.#apply();
      this.#begin();
      this.#toBottom();
      this.#applyNews();
      this.#parts.input.focus();
    }

    close() {
      if (this.#mode !== 'bubble' || !this.#isOpen) return;
      this.#parts.panel.hidden = true;
      this.#apply();
      this.#parts.launcher.focus();
    }

    send(text) {
      const message = wellFormed(String(text)).trim();
      if (!this.isConnected || !message || length(message) > MAX_CHARACTERS) return;
      this.#begin({ needed: true });
      this.#atBottom = true;
      this.#conversation.send(message);
    }

    // What the attributes say.

    get #mode() {
      return this.getAttribute('mode') === 'page' ? 'page' : 'bubble';
    }

    get #isOpen() {
      return !this.#parts.panel.hidden;
    }

    get #language() {
      return languageOf(this.getAttribute('lang'));
    }

    get #words() {
      return WORDS[this.#language];
    }

    get #server() {
      return new URL(this.getAttribute('server') || HOME, location.href).href.replace(/\/+$/, '');
    }

    /** The customer's own id, or null for one who has never been here. */
    #findUid() {
      return this.getAttribute('uid') || storage.get('kefu.uid');
    }

    #createUid() {
      const uid = randomUUID();
      storage.set('kefu.uid', uid);
      return uid;
    }

    #headers = () => {
      const key = this.getAttribute('api-key');
      return key ? { Authorization: `Bearer ${key}` } : {};
    };

    // The conversation.

    /**
     * Starts the conversation once there is a use for it: a bubble that nobody opens on a page
     * costs the desk no request, unless a message still waits to be sent, or for a person.
     */
    #begin({ needed = this.#mode === 'page' || this.#isOpen } = {}) {
      if (this.#conversation) return;
      const known = this.#findUid();
      if (!needed && !(known && [Outbox, HeldTurns].some((Kept) => new Kept(this.#server, known).list().length))) return;
      const uid = known || this.#createUid();
      this.#conversation = new Conversation({ server: this.#server, uid, headers: this.#headers }, this.#view);
      this.#conversation.start({ withHistory: Boolean(known) });
    }

    #end() {
      this.#conversation?.end();
      this.#conversation = null;
      for (const { element } of this.#views.values()) element.remove();
      this.#views.clear();
      this.#applyNews();
    }

    #view = {
      added: (turn, index) => {
        const retry = () => this.#act(() => this.#conversation.retry(turn));
        const stop = () => this.#act(() => this.#conversation.stop(turn));
        const rate = (rating, reason) => this.#rate(turn, rating, reason);
        const choose = (title) => this.#act(() => this.send(title));
        const view = new TurnView(turn, { retry, stop, rate, choose });
        this.#views.set(turn, view);
        this.#update(turn);
        const last = this.#conversation.turns[index - 1]; // no more
        if (last) for (const other of this.#views.keys()) if (other === last || other.repliedAfter === last) this.#update(other);
        const next = this.#views.get(this.#conversation.turns[index + 1]);
        this.#parts.column.insertBefore(view.element, next?.element ?? null);
      },
      changed: (turn) => {
        this.#update(turn);
        if (turn.state === 'retrying') this.#announceRetry(turn);
      },
      delta: (turn, text) => this.#views.get(turn)?.grow(text),
      removed: (turn) => {
        this.#views.get(turn)?.element.remove();
        this.#views.delete(turn);
      },
      replied: (turns) => {
        this.#announce(turns.flatMap((turn) => [`${this.#words.desk}: ${turn.reply.reply}`, ...this.#offered(turn)]).join(' '));
        if (!this.#isOpen) this.#unread += turns.length;
        for (const turn of turns) this.#news.add(turn);
        this.#apply();
        for (const turn of turns) this.#emit('kefu:reply', turn.reply);
      },
      failed: (turn) => {
        this.#announce(`${statusText(turn, this.#words)} ${failureDetail(turn.failure)}`);
        this.#emit('kefu:error', turn.failure.problem);
      },
      unrated: () => this.#announce(this.#words.failRating),
    };

    #update(turn) {
      const last = this.#conversation.turns.at(-1); // what asks back can be answered until something else is asked
      const isLast = turn === last || turn.repliedAfter === last;
      this.#views.get(turn)?.update(this.#words, LOCALES[this.#language], isLast);
    }

    #offered({ reply }) {
      if (!reply.choices?.length) return [];
      return [`${this.#words.choices}: ${reply.choices.map(({ title }) => title).join('; ')}`];
    }

    #rate(turn, rating, reason) {
      this.#conversation.rate(turn, rating, reason);
      if (reason) this.#announce(this.#words.thanks);
    }

    /** A button that vanishes by its own click would take the focus with it. */
    #act(action) {
      action();
      this.#parts.input.focus();
    }

    #emit(type, detail) {
      this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
    }

    /** Read out once; a new node is announced even where the words are the same as before. */
    #announce(text) {
      this.#parts.announcer.replaceChildren(h('p', {}, text));
    }

    /** A retry every few seconds is news only the first time. */
    #announceRetry(turn) {
      const text = statusText(turn, this.#words);
      if (this.#parts.announcer.textContent !== text) this.#announce(text);
    }

    // The page.

    #build() {
      const shadow = this.attachShadow({ mode: 'open' });
      shadow.adoptedStyleSheets = [sheet];
      const parts = { ...this.#buildBar(), ...this.#buildLog(), ...this.#buildComposer() };
      parts.panel = h('section', { class: 'panel', id: 'panel', hidden: true, onkeydown: (event) => this.#onPanelKey(event) },
        parts.bar, parts.log, parts.form);
      parts.unread = h('span', { class: 'unread', hidden: true });
      parts.launcher = h('button', { class: 'launcher', type: 'button', 'aria-controls': 'panel', onclick: () => (this.#isOpen ? this.close() : this.open()) },
        icon('talk', 'talk'), icon('shut', 'shut'), parts.unread);
      parts.announcer = h('div', { class: 'sr announcer', role: 'status', 'aria-live': 'polite' });
      parts.root = h('div', { class: 'root' }, parts.panel, parts.launcher, parts.announcer);
      shadow.append(parts.root);
      const follow = new ResizeObserver(() => this.#atBottom && this.#toBottom(parts));
      follow.observe(parts.column); // a reply grows
      follow.observe(parts.log); // the field or a phone's keyboard takes room
      return parts;
    }

    #buildBar() {
      const title = h('h2', { class: 'title' });
      const close = h('button', { class: 'icon close', type: 'button', onclick: () => this.close() }, icon('close'));
      return { title, close, bar: h('header', { class: 'bar' }, mark(), title, close) };
    }

    #buildLog() {
      const greeting = h('h2');
      const greetingMore = h('p');
      const column = h('div', { class: 'column' }, h('div', { class: 'greeting' }, mark(), greeting, greetingMore));
      // In the tab order, so that the keyboard can scroll it.
      const log = h('div', { class: 'log', role: 'log', 'aria-live': 'polite', tabindex: 0, onscroll: () => this.#onScroll() }, column);
      return { greeting, greetingMore, column, log };
    }

    #buildComposer() {
      const label = h('label', { class: 'sr', for: 'message' });
      const input = h('textarea', {
        id: 'message', rows: 1, enterkeyhint: 'send', autocomplete: 'off', 'aria-describedby': 'counter notice',
        oninput: () => this.#onInput(),
        onkeydown: (event) => this.#onInputKey(event),
      });
      // Outside, these keys seem to come from <kefu-chat>, which a page's shortcuts do not know to be a text field.
      for (const type of ['keypress', 'keyup']) input.addEventListener(type, (event) => event.stopPropagation());
      const send = h('button', { class: 'send', type: 'submit', disabled: true }, icon('send'));
      const jump = h('button', { class: 'icon jump', type: 'button', hidden: true, onclick: () => this.#act(() => this.#toBottom()) }, icon('down'));
      const news = h('button', { class: 'action news', type: 'button', hidden: true, onclick: () => this.#act(() => this.#toNews()) });
      const hint = h('span', { class: 'hint' });
      const notice = h('span', { class: 'notice', id: 'notice' });
      const counter = h('span', { class: 'counter', id: 'counter', hidden: true });
      const form = h('form', { class: 'composer', onsubmit: (event) => this.#onSubmit(event) },
        news, jump, label, h('div', { class: 'field' }, input, send), h('div', { class: 'foot' }, notice, hint, counter));
      return { label, input, send, jump, news, hint, notice, counter, form };
    }

    /** Brings everything but the turns' own state in line with the attributes. */
    #apply() {
      const { root, panel, launcher } = this.#parts;
      const page = this.#mode === 'page';
      if (page) panel.hidden = false;
      else if (root.dataset.mode !== 'bubble') panel.hidden = true;
      root.dataset.mode = this.#mode;
      root.lang = LOCALES[this.#language];
      panel.setAttribute('role', page ? 'region' : 'dialog');
      launcher.setAttribute('aria-expanded', String(this.#isOpen));
      this.#applyTheme();
      this.#applyWords();
      for (const turn of this.#views.keys()) this.#update(turn);
      this.#applyNews();
    }

    #applyTheme = () => {
      const system = this.#systemTheme.matches ? 'dark' : 'light';
      const asked = this.getAttribute('theme');
      this.#parts.root.dataset.theme = asked === 'dark' || asked === 'light' ? asked : system;
    };

    #applyWords() {
      const words = this.#words;
      const { panel, launcher, unread, title, close, greeting, greetingMore, log, label, input, send, jump, hint, notice } = this.#parts;
      const heading = this.getAttribute('heading') || words.heading;
      for (const [element, text] of [[title, heading], [greeting, words.greeting], [greetingMore, words.greetingMore],
        [label, words.message], [hint, words.hint], [notice, words.notice]]) setText(element, text);
      for (const [element, name] of [[panel, heading], [close, words.closeChat], [log, words.log], [send, words.send],
        [jump, words.jump]]) element.setAttribute('aria-label', name);
      input.placeholder = words.placeholder;
      unread.hidden = !this.#unread;
      setText(unread, String(this.#unread));
      const news = this.#unread ? ` (${words.unread(this.#unread)})` : '';
      launcher.setAttribute('aria-label', this.#isOpen ? words.closeChat : words.openChat + news);
      this.#applyLength();
    }

    // Writing and sending.

    #applyLength() {
      const { input, send, counter } = this.#parts;
      const count = length(input.value.trim());
      const over = count - MAX_CHARACTERS;
      counter.hidden = count < COUNTER_FROM;
      counter.classList.toggle('over', over > 0);
      setText(counter, over > 0 ? this.#words.tooLong(over) : this.#words.count(count));
      input.setAttribute('aria-invalid', String(over > 0));
      send.disabled = count === 0 || over > 0;
    }

    #onInput() {
      const { input } = this.#parts;
      input.style.height = ''; // else it would never shrink
      input.style.height = `${Math.max(38, input.scrollHeight)}px`;
      this.#applyLength();
    }

    #onInputKey(event) {
      if (event.key !== 'Escape') event.stopPropagation();
      if (event.key !== 'Enter' || event.shiftKey || isComposing(event)) return;
      event.preventDefault();
      this.#parts.form.requestSubmit();
    }

    #onSubmit(event) {
      event.preventDefault();
      const { input, send, counter } = this.#parts;
      if (send.disabled) {
        if (!counter.hidden) this.#announce(counter.textContent);
        return;
      }
      this.send(input.value);
      input.value = '';
      this.#onInput();
      input.focus();
    }

    #onPanelKey(event) {
      if (event.key !== 'Escape' || isComposing(event) || this.#mode !== 'bubble') return;
      event.stopPropagation();
      this.close();
    }

    // Following the talk, unless the reader has scrolled up.

    #onScroll() {
      const { log, jump } = this.#parts;
      // The talk may have grown since our own scrolling: only a move upwards is the reader's.
      if (log.scrollHeight - log.scrollTop - log.clientHeight < 48) this.#atBottom = true;
      else if (log.scrollTop < this.#scrolledTo) this.#atBottom = false;
      this.#scrolledTo = log.scrollTop;
      jump.hidden = this.#atBottom;
      this.#applyNews();
    }

    #toBottom({ log, jump } = this.#parts) {
      this.#atBottom = true;
      jump.hidden = true;
      log.scrollTop = log.scrollHeight;
    }

    // New replies above what is seen.

    /** How far the card's edge is below the upper edge of the log. */
    #depth(turn, edge) {
      return this.#views.get(turn).card.getBoundingClientRect()[edge] - this.#parts.log.getBoundingClientRect().top;
    }

    #applyNews() {
      if (!this.#isOpen) return;
      const { news } = this.#parts;
      for (const turn of this.#news) if (!this.#views.has(turn) || this.#depth(turn, 'bottom') > 8) this.#news.delete(turn);
      news.hidden = !this.#news.size;
      if (!news.hidden) news.replaceChildren(icon('send'), this.#words.unread(this.#news.size));
    }

    #toNews() {
      const [first] = this.#conversation.turns.filter((turn) => this.#news.has(turn));
      this.#parts.log.scrollTop += this.#depth(first, 'top') - 12;
    }
  }

  if (!customElements.get('kefu-chat')) customElements.define('kefu-chat', KefuChat);
})();
