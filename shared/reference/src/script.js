'use strict';
// The filter: operations whose method, path or words hold every word that is typed.
const search = document.getElementById('search');
const found = document.getElementById('found');
const articles = [...document.querySelectorAll('article')];
const entries = new Map([...document.querySelectorAll('nav li')].map((li) => [li.firstChild.hash.slice(1), li]));
function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const article of articles) {
    const fits = words.every((word) => article.dataset.words.includes(word));
    article.hidden = !fits;
    entries.get(article.id).hidden = !fits;
    shown += fits;
  }
  for (const group of document.querySelectorAll('.group')) {
    group.hidden = !group.querySelector('article:not([hidden])');
  }
  for (const heading of document.querySelectorAll('nav h2')) {
    heading.hidden = !heading.nextElementSibling.querySelector('li:not([hidden])');
  }
  found.textContent = words.length ? `${shown} of ${articles.length} operations` : '';
}
search.addEventListener('input', filter);
addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== search && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  } else if (event.key === 'Escape' && document.activeElement === search) {
    search.value = '';
    filter();
  }
});
// A command names the place that this page came from, and can be copied.
for (const pre of document.querySelectorAll('.command')) {
  const code = pre.firstChild;
  code.textContent = code.textContent.replace('$URL', location.origin);
  if (!navigator.clipboard) continue;
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Copy';
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  pre.before(button);
}
// Paper has everything unfolded.
addEventListener('beforeprint', () => {
  for (const details of document.querySelectorAll('details')) details.open = true;
});
