// Imported by the command line, which starts before the engine does: nothing else belongs here.

/** What pip calls the kinds of TensorFlow that `rec setup tensorflow --install` takes. */
export const flavours = { cpu: 'tensorflow-cpu', gpu: 'tensorflow[and-cuda]' } as const;
export type Flavour = keyof typeof flavours;
