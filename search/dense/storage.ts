import { halfTable, toFloat16 } from '../../common/half.ts';

/** How vectors are kept: as they are, in half precision, or in 8 bits with a scale of its own for every vector. */
export const storages = ['f32', 'f16', 'int8'] as const;
export type Storage = (typeof storages)[number];

/** Turns vectors into the bytes that a storage keeps, and back. */
export interface Codec {
  /** Bytes of a vector. */
  bytes(dims: number): number;
  /** Appends one vector's bytes at `at`. */
  encode(vector: Float32Array, out: DataView, at: number): void;
  /** Fills `out` from the bytes of out.length / dims vectors. */
  decode(bytes: Uint8Array, dims: number, out: Float32Array): void;
}

const f16: Codec = {
  bytes: (dims) => 2 * dims,
  encode(vector, out, at) {
    toFloat16(vector).forEach((half, i) => {
      out.setUint16(at + 2 * i, half, true);
    });
  },
  decode(bytes, _dims, out) {
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, out.length);
    const values = halfTable();
    for (let i = 0; i < out.length; i++) out[i] = values[halves[i]];
  },
};

/** A float32 scale, and dims whole numbers from -127 to 127; the scale's 4 bytes keep rows aligned where dims is a multiple of 4. */
const int8: Codec = {
  bytes: (dims) => 4 + dims,
  encode(vector, out, at) {
    let most = 0;
    for (const value of vector) most = Math.max(most, Math.abs(value));
    const scale = Math.fround(most / 127);
    out.setFloat32(at, scale, true);
    for (let i = 0; i < vector.length; i++)
      out.setInt8(at + 4 + i, scale ? Math.max(-127, Math.min(127, Math.round(vector[i] / scale))) : 0);
  },
  decode(bytes, dims, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const codes = new Int8Array(bytes.buffer, bytes.byteOffset);
    for (let row = 0; row * dims < out.length; row++) {
      const scale = view.getFloat32(row * (4 + dims), true);
      const from = row * (4 + dims) + 4;
      for (let i = 0; i < dims; i++) out[row * dims + i] = codes[from + i] * scale;
    }
  },
};

/** The codecs of what is kept beside the vectors themselves. */
export const codecs: Record<Exclude<Storage, 'f32'>, Codec> = { f16, int8 };
