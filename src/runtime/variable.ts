/** Variables: tensors that are updated in place (optimizer states, weights under training, caches). */

import { attr } from './attributes.js';
import type { DType } from './dtypes.js';
import { execute } from './execute.js';
import { keep, type Tensor } from './tensor.js';

/** An anonymous resource of this name: it lives exactly as long as its handle (resource_variable_ops.cc). */
const ANONYMOUS = 'cd2c89b7-88b7-44c8-ad83-06c2a9158347';

/** A value in device memory that operations such as ResourceApplyAdam change in place. The owner disposes it. */
export class Variable {
  /** The resource tensor that operations take. */
  readonly resource: Tensor;
  readonly dtype: DType;
  readonly shape: readonly number[];

  constructor(initial: Tensor) {
    this.dtype = initial.dtype;
    this.shape = initial.shape;
    const [resource] = execute('VarHandleOp', [], {
      container: attr.string(''),
      shared_name: attr.string(ANONYMOUS),
      dtype: attr.type(initial.dtype),
      shape: attr.shape(initial.shape),
    });
    this.resource = keep(resource as Tensor);
    this.assign(initial);
  }

  /** Sets the value; the buffer of `value` is taken over where nothing else holds it. */
  assign(value: Tensor): void {
    execute('AssignVariableOp', [this.resource, value], { dtype: attr.type(this.dtype) }, 0);
  }

  /** The present value. It shares the variable's memory: dispose it before the next update, or that update copies. */
  read(): Tensor {
    return execute('ReadVariableOp', [this.resource], { dtype: attr.type(this.dtype) })[0] as Tensor;
  }

  dispose(): void {
    this.resource.dispose();
  }
}
