// Runs in the report's page: sorting, filtering, and drawing. `vega` and `charts` are there before it.
/* global vega, charts */

/** Sorts a table's rows by a column; numbers by their exact value, largest first. */
function sortBy(header) {
  const table = header.closest('table');
  const descending = header.ariaSort ? header.ariaSort === 'ascending' : header.classList.contains('number');
  for (const other of table.querySelectorAll('th')) other.ariaSort = null;
  header.ariaSort = descending ? 'descending' : 'ascending';
  const column = Number(header.dataset.column);
  const keyOf = (row) => {
    const { value } = row.cells[column].dataset;
    return value === undefined ? row.cells[column].textContent : Number(value);
  };
  const order = (a, b) => {
    const [x, y] = [keyOf(a), keyOf(b)];
    // Rows without a figure come last, whatever the direction.
    if (x === '' || y === '') return (x === '') - (y === '');
    const ascending = typeof x === 'number' && typeof y === 'number' ? x - y : x < y ? -1 : x > y ? 1 : 0;
    return descending ? -ascending : ascending;
  };
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(order));
}

for (const button of document.querySelectorAll('th button'))
  button.addEventListener('click', () => sortBy(button.closest('th')));

const views = charts.map(({ chart }, i) => {
  const view = new vega.View(vega.parse(chart), { renderer: 'svg', container: `#chart-${i}`, hover: true });
  view.runAsync();
  return view;
});

document.querySelector('#filter').addEventListener('input', ({ target }) => {
  const query = target.value.trim();
  for (const row of document.querySelectorAll('tbody tr'))
    row.hidden = !row.dataset.system.toLowerCase().includes(query.toLowerCase());
  for (const view of views) view.signal('query', query).runAsync();
});
