import protobuf from 'protobufjs/minimal.js';
import type { Attribute, Constant, ElementType, Graph, Node } from './graph.ts';

// Field numbers and element types of onnx.proto (ONNX IR version 9, opset 20).
export const ELEMENT_TYPE: Record<ElementType, number> = {
  float32: 1,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  uint32: 12,
};
const OPSET = 20;
const IR_VERSION = 9;

type Writer = protobuf.Writer;
const BYTES = 2; // wire type of length-delimited fields
const VARINT = 0;
const tag = (field: number, wire: number) => (field << 3) | wire;

function message(writer: Writer, field: number, body: () => void): void {
  writer.uint32(tag(field, BYTES)).fork();
  body();
  writer.ldelim();
}

const text = (writer: Writer, field: number, value: string) => writer.uint32(tag(field, BYTES)).string(value);
const integer = (writer: Writer, field: number, value: number) =>
  writer.uint32(tag(field, VARINT)).int64(value);

function tensorProto(writer: Writer, { dtype, shape, data }: Constant, name?: string): void {
  for (const dim of shape) integer(writer, 1, dim);
  integer(writer, 2, ELEMENT_TYPE[dtype]);
  if (name !== undefined) text(writer, 8, name);
  writer.uint32(tag(9, BYTES)).bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function attributeProto(writer: Writer, name: string, value: Attribute): void {
  text(writer, 1, name);
  const type = (code: number) => integer(writer, 20, code);
  if (typeof value === 'number') {
    integer(writer, 3, value);
    type(2);
  } else if (typeof value === 'string') {
    writer.uint32(tag(4, BYTES)).bytes(Buffer.from(value));
    type(3);
  } else if ('float' in value) {
    writer.uint32(tag(2, 5)).float(value.float);
    type(1);
  } else if ('tensor' in value) {
    message(writer, 5, () => tensorProto(writer, value.tensor));
    type(4);
  } else {
    for (const item of value) integer(writer, 8, item);
    type(7);
  }
}

function nodeProto(writer: Writer, node: Node): void {
  for (const name of node.inputs) text(writer, 1, name);
  for (const name of node.outputs) text(writer, 2, name);
  text(writer, 3, node.outputs[0]);
  text(writer, 4, node.op);
  for (const [name, value] of Object.entries(node.attributes)) {
    message(writer, 5, () => attributeProto(writer, name, value));
  }
  if (node.domain) text(writer, 7, node.domain);
}

function valueInfoProto(writer: Writer, name: string, dtype: ElementType, shape: readonly number[]): void {
  text(writer, 1, name);
  message(writer, 2, () =>
    message(writer, 1, () => {
      integer(writer, 1, ELEMENT_TYPE[dtype]);
      message(writer, 2, () => {
        // A size that only a run tells has a name in place of a number.
        for (const dim of shape)
          message(writer, 1, () => (dim < 0 ? text(writer, 2, `any ${-dim}`) : integer(writer, 1, dim)));
      });
    }),
  );
}

export interface EncodeOptions {
  /** Declares integer inputs as 64-bit ones, which is what users of exported models feed. */
  longInputs?: boolean;
}

/** The graph as a serialised ONNX ModelProto. */
export function encodeOnnx(graph: Graph, { longInputs = false }: EncodeOptions = {}): Uint8Array {
  const writer = protobuf.Writer.create();
  integer(writer, 1, IR_VERSION);
  message(writer, 7, () => {
    for (const node of graph.nodes) message(writer, 1, () => nodeProto(writer, node));
    text(writer, 2, 'rec');
    for (const [name, constant] of graph.constants)
      message(writer, 5, () => tensorProto(writer, constant, name));
    for (const [name, { dtype, shape }] of graph.inputs) {
      const type = longInputs && dtype === 'int32' ? 'int64' : dtype;
      message(writer, 11, () => valueInfoProto(writer, name, type, shape));
    }
    for (const [name, { dtype, shape }] of graph.outputs)
      message(writer, 12, () => valueInfoProto(writer, name, dtype, shape));
  });
  for (const [domain, version] of [
    ['', OPSET],
    ['com.microsoft', 1],
  ] as const) {
    message(writer, 8, () => {
      text(writer, 1, domain);
      integer(writer, 2, version);
    });
  }
  return writer.finish();
}
