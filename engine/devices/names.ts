// Imported by the command line, which starts before the engine does: nothing else belongs here.

/** Devices that a computation can run on. */
export const deviceNames = ['cpu', 'webgpu', 'cuda', 'tensorflow'] as const;
export type DeviceName = (typeof deviceNames)[number];
