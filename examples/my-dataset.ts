import { defineDataset, seeded } from 'rec';

const items = ['kettle', 'teapot', 'tea cup', 'saucer', 'spoon', 'sugar bowl', 'milk jug', 'tea towel'];

/** Read a database, a file of your own, an API: whatever yields who took what when. */
export default defineDataset({
  name: 'my-dataset',
  summary: 'made-up customers who complete a tea set',
  // Settings that this dataset wants, unless the user says otherwise.
  defaults: { data: { split: 'leave-last-out' }, train: { batchSize: 128 } },
  *interactions() {
    for (let user = 0; user < 200; user++) {
      const random = seeded('my-dataset', user);
      for (let n = 0, item = random.below(items.length); n < 6; n++, item += random.uniform() < 0.8 ? 1 : 3)
        yield { user: `customer ${user}`, item: `item ${item % items.length}`, time: 1e12 + 1000 * n };
    }
  },
  // Left out, the dataset has no texts. Both may be async (`async *items()`).
  *items() {
    for (const [i, name] of items.entries()) yield { id: `item ${i}`, text: `${name}, white porcelain` };
  },
});
