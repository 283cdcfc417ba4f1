import type { OnlineTrainEvent } from '../train/online/events.js';
import { formatNumber, formatSeconds } from './format.js';
import type { Progress } from './progress.js';
import { eventPrinter } from './train-command.js';

/** Shows events of training, offline or online: of the latter samples as a bar, and rewards with the steps. */
export function onlineEventPrinter(progress: Progress): (event: OnlineTrainEvent) => void {
  const show = eventPrinter(progress);
  return (event) => {
    switch (event.type) {
      case 'rollout': {
        const { set, written, scored, total } = event;
        const what = set === 'train' ? 'sampling' : 'sampling held-out';
        progress.update(what, scored, total, `${written} of ${total} groups written, ${scored} scored`);
        return;
      }
      case 'reload':
        progress.line(`the server has the adapter of step ${event.step}: ${event.adapter}`);
        return;
      case 'reward-hacking':
        progress.line(`warning at step ${event.step}: ${event.message}`);
        return;
      case 'step': {
        const { step, maxSteps, metrics, secondsLeft } = event;
        if (metrics.reward === undefined) return show(event);
        const parts = [
          `step ${step}/${maxSteps}`,
          `reward ${formatNumber(metrics.reward)}`,
          `loss ${formatNumber(metrics.loss)}`,
          `${formatSeconds(secondsLeft)} left`,
        ];
        progress.update('training', step, maxSteps, parts.join(', '));
        return;
      }
      case 'evaluation': {
        const { step, metrics, best } = event;
        if (metrics.eval_reward === undefined) return show(event);
        progress.line(
          `evaluation at step ${step}: reward ${formatNumber(metrics.eval_reward)}${best ? ' (best so far)' : ''}`,
        );
        return;
      }
      default:
        show(event);
    }
  };
}
