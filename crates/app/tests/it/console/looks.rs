//! What holds for every page: nothing fails in it, it is light, it fits a phone, it can be read.

use super::browser::Browser;

/// Largest page with style and script, in bytes (the style sheet and the script are kept by the
/// browser after the first page).
const WEIGHT_MAX: u64 = 200_000;
/// Longest time to the end of the document, in milliseconds: for a program that was optimised.
/// One that was not is only kept from being absurd.
const RENDER_MAX: f64 = if cfg!(debug_assertions) {
    5_000.0
} else {
    100.0
};

/// Texts whose contrast is below 4.5 (WCAG 2.1, 1.4.3), or 3 for large ones.
const CONTRAST: &str = r#"(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    const stack = [];
    for (let e = element; e; e = e.parentElement) stack.push(rgba(getComputedStyle(e).backgroundColor));
    return stack.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim();
    const element = walk.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest("svg, option, .hidden, caption, .skip, .rest")) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const ink = over(rgba(style.color), ground);
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) bad.push(`${text.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return bad;
})()"#;

/// Controls without a name, pictures without a word, ids given twice, headings left out.
const READABLE: &str = r##"(() => {
  const bad = [];
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!field.labels?.length && !field.getAttribute("aria-label")) bad.push(`no label: ${field.name}`);
  }
  for (const button of document.querySelectorAll("button, a[href]")) {
    const name = button.textContent.trim() || button.getAttribute("aria-label");
    if (!name) bad.push(`no name: ${button.outerHTML.slice(0, 80)}`);
  }
  for (const picture of document.querySelectorAll("svg")) {
    if (!picture.getAttribute("aria-label") && picture.getAttribute("aria-hidden") !== "true") bad.push("a picture without a word");
  }
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
  if (twice.length) bad.push(`ids given twice: ${twice}`);
  if (document.querySelectorAll("h1").length !== 1) bad.push("not one h1");
  let before = 1;
  for (const heading of document.querySelectorAll("main h1, main h2, main h3, main h4")) {
    const level = Number(heading.tagName[1]);
    if (level > before + 1) bad.push(`a heading is left out before ${heading.textContent}`);
    if (!heading.textContent.trim()) bad.push(`an empty h${level}`);
    before = level;
  }
  for (const place of ["header", "main", document.body.matches(".alone") ? "body" : "nav"]) {
    if (document.querySelectorAll(place).length === 0) bad.push(`no ${place}`);
  }
  if (!document.documentElement.lang) bad.push("no language");
  for (const field of document.querySelectorAll("fieldset")) {
    if (!field.querySelector("legend")) bad.push("a fieldset without a legend");
  }
  for (const column of document.querySelectorAll("thead th")) {
    if (column.scope !== "col") bad.push(`no scope: ${column.textContent}`);
  }
  const boxes = [...document.querySelectorAll("main .figure, main .chart, main h2, main div.table, main p")]
    .filter((one) => one.checkVisibility() && !one.closest("dialog, details:not([open]), .legs") && (one.matches("div.table") || !one.closest("div.table")))
    .map((one) => [one, one.getBoundingClientRect()]).filter(([, box]) => box.width > 1 && box.height > 1);
  for (const [i, [one, a]] of boxes.entries()) {
    for (const [other, b] of boxes.slice(i + 1)) {
      if (one.contains(other) || other.contains(one)) continue;
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 2 && down > 2) bad.push(`${one.textContent.slice(0, 20)} lies over ${other.textContent.slice(0, 20)}`);
    }
    const inside = one.matches(".chart, .figure") && one.scrollHeight - one.clientHeight;
    if (inside > 2) bad.push(`${one.textContent.slice(0, 20)} is taller than its box`);
  }
  if (document.querySelector("[style], style, script:not([src])")) bad.push("style or script in the page");
  for (const part of document.querySelectorAll("[aria-labelledby], [aria-controls]")) {
    const id = part.getAttribute("aria-labelledby") || part.getAttribute("aria-controls");
    if (!document.getElementById(id)) bad.push(`nothing has the id ${id}`);
  }
  return bad;
})()"##;

/// Opens a page in both schemes, takes its picture, and checks what holds for every page.
#[track_caller]
pub fn look(browser: &mut Browser, url: &str, path: &str, name: &str) {
    browser.size(1280, 900);
    browser.scheme("light");
    browser.take_loaded();
    browser.open(&format!("{url}{path}"));
    let weight = browser.take_loaded();
    assert!(weight <= WEIGHT_MAX, "{path}: {weight} bytes");
    let render = browser.eval(
        "(() => { const n = performance.getEntriesByType('navigation')[0]; return n.responseEnd - n.requestStart; })()",
    );
    let render = render.as_f64().expect("a time");
    assert!(render <= RENDER_MAX, "{path}: {render} ms");
    println!("{path}: {weight} bytes, {render:.0} ms");
    let readable = browser.eval(READABLE);
    assert_eq!(readable, serde_json::json!([]), "{path}");
    for scheme in ["light", "dark"] {
        browser.scheme(scheme);
        let contrast = browser.eval(CONTRAST);
        assert_eq!(contrast, serde_json::json!([]), "{path}, {scheme}");
        browser.picture(&format!("{name}-{scheme}"));
    }
    browser.size(390, 844);
    let wide = browser.eval("document.documentElement.scrollWidth - innerWidth");
    assert!(
        wide.as_f64().is_some_and(|wide| wide <= 0.0),
        "{path}: {wide} pixels too wide for a phone"
    );
    browser.picture(&format!("{name}-phone"));
    browser.size(1280, 900);
    browser.scheme("light");
    let errors = std::mem::take(&mut browser.errors);
    assert_eq!(errors, Vec::<String>::new(), "{path}");
}
