/* The chat page: its two switches, remembered, and the API key that the address may carry. */
(() => {
  'use strict';

  const WORDS = {
    zh: { locale: 'zh-CN', title: 'kefu 客服', name: '客服', dark: '深色模式' },
    en: { locale: 'en', title: 'kefu customer service', name: 'customer service', dark: 'Dark mode' },
  };

  const page = document.documentElement;
  const chat = document.querySelector('kefu-chat');
  const themeSwitch = document.querySelector('.theme');
  const languageSwitches = document.querySelectorAll('[data-lang]');
  const systemDark = matchMedia('(prefers-color-scheme: dark)');

  // A browser that forbids storage forgets the choice and nothing else.
  function recall(name) {
    try { return localStorage.getItem(name); } catch { return null; }
  }

  function remember(name, value) {
    try { localStorage.setItem(name, value); } catch { /* forgotten at the next visit */ }
  }

  function showLanguage(language) {
    const words = WORDS[language];
    page.lang = words.locale;
    document.title = words.title;
    document.querySelector('[data-word="name"]').textContent = words.name;
    themeSwitch.setAttribute('aria-label', words.dark);
    for (const button of languageSwitches) button.setAttribute('aria-pressed', String(button.dataset.lang === language));
    chat.setAttribute('lang', language);
  }

  function showTheme(theme) {
    page.dataset.theme = theme;
    themeSwitch.setAttribute('aria-pressed', String(theme === 'dark'));
    chat.setAttribute('theme', theme);
  }

  const systemTheme = () => (systemDark.matches ? 'dark' : 'light');
  const browserLanguage = () => (navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en');

  /** `#key=…` never reaches a server: a fragment stays in the browser. */
  function takeKey() {
    const key = new URLSearchParams(location.hash.slice(1)).get('key');
    if (key) chat.setAttribute('api-key', key);
    else chat.removeAttribute('api-key');
  }

  for (const button of languageSwitches) {
    button.addEventListener('click', () => {
      remember('kefu.lang', button.dataset.lang);
      showLanguage(button.dataset.lang);
    });
  }

  themeSwitch.addEventListener('click', () => {
    const theme = page.dataset.theme === 'dark' ? 'light' : 'dark';
    remember('kefu.theme', theme);
    showTheme(theme);
  });

  systemDark.addEventListener('change', () => recall('kefu.theme') || showTheme(systemTheme()));
  addEventListener('hashchange', takeKey);

  takeKey();
  showLanguage(recall('kefu.lang') in WORDS ? recall('kefu.lang') : browserLanguage());
  showTheme(recall('kefu.theme') || systemTheme());
})();
