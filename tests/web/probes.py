"""Questions that only the page itself can answer, as JavaScript for `page.evaluate`.

Not for `page.wait_for_function`: its polling evaluates a string in the page, which the strict
Content-Security-Policy forbids. What must be waited for is put on an element, for `expect`.
"""

# Kept by each document from its start; `new_page` looks at them when a test ends.
WATCH_VIOLATIONS = """
window.violations = [];
addEventListener('securitypolicyviolation', (event) => {
  violations.push(`${event.violatedDirective} ${event.blockedURI}`);
  document.documentElement.dataset.violations = violations.length;
});
"""

COUNT_FAILED_FETCHES = """
let failures = 0;
const realFetch = window.fetch;
window.fetch = (...request) => realFetch(...request).catch((error) => {
  failures += 1;
  document.documentElement.dataset.failures = failures;
  throw error;
});
"""

HEAR_COMPONENT_EVENTS = """
window.seen = [];
for (const type of ['kefu:reply', 'kefu:error']) {
  addEventListener(type, ({ detail }) => seen.push([type, detail.reply ?? detail.detail]));
}
"""

# Whether the tab can be seen, as `document.hidden` tells; `SHOW` brings it to the front.
HIDE = "Object.defineProperty(document, 'hidden', { get: () => true, configurable: true });"
SHOW = """
() => {
  Object.defineProperty(document, 'hidden', { get: () => false, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}
"""

# What the page sent before this has gone out once this is answered.
ROUND_TRIP = "fetch('/nothing').then((response) => response.text())"

# Another tab has had the reply to a message of this customer.
SETTLE_ELSEWHERE = """
() => {
  const prefix = `kefu.pending:${location.origin}:${localStorage['kefu.uid']}:`;
  dispatchEvent(new StorageEvent('storage', { key: `${prefix}other`, newValue: null }));
}
"""

HEAR_KEYS = """
window.heard = [];
for (const type of ['keydown', 'keypress', 'keyup']) {
  addEventListener(type, (event) => heard.push(event.key));
}
"""

HEAR_ANNOUNCEMENTS = """
() => {
  window.heard = [];
  const region = document.querySelector('kefu-chat').shadowRoot.querySelector('.announcer');
  const hear = () => heard.push(region.textContent);
  new MutationObserver(hear).observe(region, { childList: true, subtree: true });
}
"""

SEND_AND_HEAR = """
(text) => new Promise((resolve) => {
  document.addEventListener('kefu:reply', (event) => resolve(event.detail.reply));
  document.querySelector('kefu-chat').send(text);
})
"""

# An Enter as an input method's end leaves it; `event` is what tells the two kinds of browser apart.
ENTER_AFTER_COMPOSITION = """
(input, event) => {
  input.dispatchEvent(new CompositionEvent('compositionend'));
  const enter = { key: 'Enter', bubbles: true, cancelable: true };
  input.dispatchEvent(new KeyboardEvent('keydown', { ...enter, ...event }));
}
"""

AGE_UNSENT_MESSAGES = """
() => {
  for (const name of Object.keys(localStorage)) {
    if (!name.startsWith('kefu.pending:')) continue;
    const message = JSON.parse(localStorage[name]);
    localStorage[name] = JSON.stringify({ ...message, at: message.at - 86_400_000 });
  }
}
"""

UNSENT_MESSAGES = """
Object.keys(localStorage).filter((name) => name.startsWith('kefu.pending:')).length
"""

MOVE_WITHIN_PAGE = """
(element) => {
  const place = element.parentNode;
  element.remove();
  place.append(element);
}
"""

DISTURB_STYLE = """
() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('html { font-size: 40px } * { text-align: right; letter-spacing: 9px }');
  document.adoptedStyleSheets = [sheet];
}
"""

# The class, id or text of what has the focus, inside the component too.
FOCUSED = """
() => {
  let element = document.activeElement;
  while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return (element.id || element.className || element.textContent).trim();
}
"""

IS_AT_BOTTOM = """
() => {
  const log = document.querySelector('kefu-chat').shadowRoot.querySelector('.log');
  return log.scrollHeight - log.scrollTop - log.clientHeight < 2;
}
"""

_ALL = """
  const roots = [document, document.querySelector('kefu-chat').shadowRoot];
  const all = roots.flatMap((root) => [...root.querySelectorAll('*')]);
"""

OUT_OF_SIGHT = f"""
() => {{
  {_ALL}
  const cut = all.filter((element) => element.getBoundingClientRect().right > innerWidth + 1);
  return cut.map((element) => element.className || element.tagName);
}}
"""

# Chinese in the product's own words; what people and the server wrote stays as it is.
CHINESE_WORDS = f"""
() => {{
  {_ALL}
  const theirs = '.bubble, .text, li, [data-lang], .languages, noscript';
  const texts = (element) => [
    ...[...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data),
    ...['aria-label', 'placeholder', 'title'].map((name) => element.getAttribute(name) ?? ''),
  ];
  const ours = all.filter((element) => !element.matches(theirs)).flatMap(texts);
  return ours.filter((text) => /[\\u4e00-\\u9fff]/.test(text));
}}
"""

# [what, ratio] for each element with text, as WCAG 2 computes it.
CONTRASTS = f"""
() => {{
  {_ALL}
  const linear = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const parent = (element) => element.parentElement ?? element.getRootNode().host ?? null;
  const background = (element) => {{
    if (!element) return [255, 255, 255];
    const color = parse(getComputedStyle(element).backgroundColor);
    return (color[3] ?? 1) === 1 ? color : background(parent(element));
  }};
  const hasText = (element) => [...element.childNodes]
    .some((node) => node.nodeType === 3 && node.data.trim());
  const measure = (element) => {{
    const text = luminance(parse(getComputedStyle(element).color));
    const ground = luminance(background(element));
    const name = `${{element.tagName}}.${{element.className}} ${{element.dataset.source ?? ''}}`;
    return [name, (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05)];
  }};
  const seen = (element) => element.checkVisibility() && !element.closest('.sr');
  return all.filter((element) => seen(element) && hasText(element)).map(measure);
}}
"""
