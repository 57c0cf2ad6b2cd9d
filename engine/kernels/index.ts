// Registers the ONNX form of every tfjs kernel that the engine knows.
import './elementwise.ts';
import './gather.ts';
import './matmul.ts';
import './reduce.ts';
import './shape.ts';
import './own.ts';
