// The loss by itself: numbers in, numbers out, no TensorFlow needed. Prints Equation 1 for three pairs, then the
// gradient of the same loss by tfjs.
import { dpoLoss, tf } from 'persona-dpo';

// Sums of log-probabilities of whole responses, one number a pair.
const policyChosen = [-42.1, -77.3, -12.9];
const policyRejected = [-45.0, -70.2, -13.4];
const referenceChosen = [-43.0, -77.0, -13.1];
const referenceRejected = [-44.2, -71.5, -13.3];

const { losses, chosenRewards, rejectedRewards } = dpoLoss(
  policyChosen,
  policyRejected,
  referenceChosen,
  referenceRejected,
  { beta: 0.1 },
);
losses.forEach((loss, i) => {
  const margin = chosenRewards[i] - rejectedRewards[i];
  console.log(`pair ${i + 1}: loss ${loss.toFixed(4)}, reward margin ${margin.toFixed(3)}`);
});

// Tensors in, tensors out: the loss is differentiable. It pushes the chosen response up, most where it is behind.
const gradient = tf.grad((chosen) =>
  tf.mean(
    dpoLoss(chosen, tf.tensor1d(policyRejected), tf.tensor1d(referenceChosen), tf.tensor1d(referenceRejected))
      .losses,
  ),
)(tf.tensor1d(policyChosen));
console.log(
  'd loss / d log p(chosen):',
  Array.from(gradient.dataSync(), (value) => value.toFixed(4)).join(', '),
);
