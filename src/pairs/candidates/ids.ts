/** Names of prompts and candidates. A rewrite's `conversation:turn` names the follow-up; these are told from it. */
import { createHash } from 'node:crypto';

/** `conversation#turn` of the message that is answered. */
export function promptId(conversation: string, turn: number): string {
  return `${conversation}#${turn}`;
}

/** `conversation#turn/draw`. */
export function candidateId(prompt: string, draw: number): string {
  return `${prompt}/${draw}`;
}

/** Conversation, turn and draw of an id; undefined for what names no prompt or candidate. */
export function placeOfPrompt(id: string): { conversation: string; turn: number; draw?: number } | undefined {
  const [, conversation, turn, draw] = /^(.*)#(\d+)(?:\/(\d+))?$/s.exec(id) ?? [];
  if (conversation === undefined) return undefined;
  return { conversation, turn: Number(turn), ...(draw === undefined ? {} : { draw: Number(draw) }) };
}

/** 2^31: servers take seeds of 32 bits, some of them with a sign. */
const SEEDS = 2 ** 31;

/** The seed of one draw: its own for each prompt and number, so that more draws leave the first ones as they were. */
export function drawSeed(seed: number, prompt: string, draw: number): number {
  return createHash('sha256').update(`${seed} ${draw} ${prompt}`).digest().readUInt32BE(0) % SEEDS;
}
