import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanText, fieldSentence, itemText } from '../../data/text.ts';

/** Outputs of the official Python functions (clean_metadata; process_esci; sample_pretraining_data) for these items. */
const references = [
  {
    item: {
      title: 'Salt &amp; Pepper <b>Grinder</b>',
      features: ['Ceramic', '2\tpieces\nin a box'],
      categories: ['Home', 'Kitchen'],
      description: ['Fine...', '<br/>Coarse'],
    },
    recommendation: 'Salt & Pepper Grinder Ceramic, 2 pieces in a box. Home, Kitchen. Fine..., Coarse. ',
    search: 'Salt & Pepper <b>Grinder</b>. Fine... <br/>Coarse. ',
    pretraining: 'Salt &amp; Pepper <b>Grinder</b> Ceramic 2 pieces in a box Fine... <br/>Coarse',
  },
  {
    item: { title: '  Caf\u00e9 \u2013 \ud83d\ude00 mug  ', features: [], categories: [], description: [] },
    recommendation: 'Caf      mug    ',
    search: '  Caf\u00e9 \u2013 \ud83d\ude00 mug  . . ',
    pretraining: 'Caf\u00e9 \u2013 \ud83d\ude00 mug',
  },
  {
    item: { title: '&lt;i&gt;x&lt;/i&gt; a   b', features: ['one'], categories: [], description: ['d.'] },
    recommendation: 'x a b one.  d.. ',
    search: '<i>x</i> a   b. d. ',
    pretraining: '&lt;i&gt;x&lt;/i&gt; a   b one d.',
  },
  {
    item: {
      title: '12" pan.',
      features: ['&copy 2020 &eacute;'],
      categories: ['A &gt; B'],
      description: ['ends...', 'two\r\n'],
    },
    recommendation: '12" pan.   2020  . A > B. ends..., two. ',
    search: '12 pan. ends... two. ',
    pretraining: '12" pan. &copy 2020 &eacute; ends... two',
  },
  {
    item: { title: '...', features: ['a<b and c>d'], categories: ['x'], description: [''] },
    recommendation: '... ad. x. . ',
    search: '.. . ',
    pretraining: '... a<b and c>d',
  },
  {
    item: { title: '', features: [], categories: [], description: ['&nbsp;lead &#39;q&#39; &notit; &#x80;'] },
    recommendation: "   lead 'q'  it;  . ",
    search: ". \u00a0lead 'q' \u00acit; \u20ac. ",
    pretraining: '&nbsp;lead &#39;q&#39; &notit; &#x80;',
  },
];

for (const name of ['recommendation', 'search', 'pretraining'] as const)
  test(`${name} text equals the official code's`, () => {
    for (const reference of references) assert.is(itemText[name](reference.item), reference[name]);
  });

test('the rules of cleaning, one by one', () => {
  assert.is(cleanText('a &amp; b'), 'a & b');
  assert.is(cleanText('<p>a</p>b'), 'ab');
  assert.is(cleanText('a\nb\tc'), 'a b c');
  assert.is(cleanText('a     b'), 'a b');
  assert.is(cleanText('a\u{1F600}b'), 'a b', 'one character outside the basic plane is one space');
  assert.is(cleanText('a\u2013\u2013b'), 'a  b', 'non-ASCII comes last, so a run may remain');
});

test('fields that are missing or of another kind', () => {
  assert.is(fieldSentence(undefined), '');
  assert.is(fieldSentence(null), '');
  assert.is(fieldSentence([]), '');
  assert.is(fieldSentence(3.5), '3.5.');
  assert.is(fieldSentence({ a: 1 }), '');
  assert.is(itemText.recommendation({}), '', 'an item without fields has no text');
  assert.is(itemText.recommendation({ title: 'A' }), 'A    ');
});

test.run();
