import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { seeded } from '../../common/random.ts';
import { BpeTrainer } from '../../encoders/bpe-training.ts';
import { makeTokenizer, robertaTokenizer } from '../../encoders/tokenizer.ts';
import { pythonWith } from '../python.ts';

const train = (texts: readonly string[], size: number) => {
  const trainer = new BpeTrainer();
  for (const text of texts) trainer.add(text);
  return trainer.train(size);
};
/** 256 bytes and 5 special tokens. */
const BASE = 261;

/** Words of a small alphabet, some much more frequent than others, with bytes of every kind between. */
const texts = Array.from({ length: 400 }, (_, i) => {
  const random = seeded('bpe', i);
  const words = Array.from({ length: 12 }, () => {
    const length = 1 + random.below(6);
    return Array.from({ length }, () => 'aaabbcdé漢'[random.below(9)]).join('');
  });
  return `${words.join(random.uniform() < 0.2 ? '  ' : ' ')}${["'s", ' 42!', '\n', ''][random.below(4)]}`;
});

test('merges by hand: the most frequent pair first, the older symbols among equals', () => {
  // ab 3 times, bc twice as "bc" and "abc" would make; "abc" after "ab" is merged.
  const { merges, vocab } = train(['abc', 'abc', 'ab', 'xy', 'xy'], BASE + 10);
  assert.equal(merges, ['a b', 'x y', 'ab c']);
  assert.equal([vocab['<s>'], vocab['<pad>'], vocab['</s>'], vocab['<unk>']], [0, 1, 2, 3]);
  assert.is(vocab['<mask>'], Object.keys(vocab).length - 1);
  assert.is(vocab.ab, 4 + 256);
});

test('repeated letters merge from the left, and pairs that occur once stay apart', () => {
  assert.equal(train(['aaaaa', 'aaaaa', 'q z'], BASE + 10).merges, ['a a', 'aa a', 'aa aaa']);
});

test('every text comes back from its tokens', () => {
  const vocabulary = train(texts, BASE + 120);
  const tokenizer = makeTokenizer(robertaTokenizer(vocabulary), []);
  const tokens = Object.entries(vocabulary.vocab).reduce<string[]>((all, [token, id]) => {
    all[id] = token;
    return all;
  }, []);
  // GPT-2's table the other way round: characters from 256 on stand, in order, for the bytes that do not print.
  const unprinted = [...Array(256).keys()].filter(
    (byte) => byte < 33 || (byte > 126 && byte < 161) || byte === 173,
  );
  const byteOf = (character: string) => {
    const code = character.codePointAt(0)!;
    return code < 256 ? code : unprinted[code - 256];
  };
  for (const text of [...texts.slice(0, 50), 'unseen: žluťoučký 🐎 \u0000 tab\t']) {
    const ids = tokenizer.encode(text, 1000).slice(1, -1);
    const bytes = ids.flatMap((id) => [...tokens[id]].map(byteOf));
    assert.is(Buffer.from(bytes).toString('utf8'), text);
  }
});

test('a vocabulary without room for the bytes is refused', () => {
  assert.throws(
    () => train(['a'], 200),
    (error: unknown) => error instanceof UserError && /at least 261 tokens; 200/.test(error.message),
  );
});

test("the merges are those of Hugging Face's trainer", () => {
  const python = pythonWith('tokenizers');
  if (!python) return;
  const script = `
import json, sys
from tokenizers import ByteLevelBPETokenizer
texts, size = json.load(sys.stdin)
t = ByteLevelBPETokenizer(add_prefix_space=False)
t.train_from_iterator(texts, vocab_size=size, min_frequency=2, show_progress=False, special_tokens=["<s>", "<pad>", "</s>", "<unk>"])
print(json.dumps([t.get_vocab(), [t.encode(x).ids for x in texts[:50]]]))`;
  const size = BASE + 120;
  // Theirs has no mask token.
  const output = execFileSync(python, ['-c', script], {
    input: JSON.stringify([texts, size - 1]),
    encoding: 'utf8',
  });
  const [vocab, encoded] = JSON.parse(output) as [Record<string, number>, number[][]];
  const ours = train(texts, size);
  const { '<mask>': _mask, ...rest } = ours.vocab;
  assert.equal(rest, vocab);
  const tokenizer = makeTokenizer(robertaTokenizer(ours), []);
  assert.equal(
    texts.slice(0, 50).map((text) => tokenizer.encode(text, 1000).slice(1, -1)),
    encoded,
  );
});

test.run();
