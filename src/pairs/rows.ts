/** What the stages write, one row a line: a later stage, and a person, reads these. */

import type { Message } from '../data/pairs.js';

/** The kinds of user messages of section 2.2: the first of a conversation, and four kinds of follow-ups. */
export const FOLLOW_UP_TYPES = [
  'new-request',
  're-attempt-with-feedback',
  're-attempt-without-feedback',
  'positive-feedback',
] as const;
export type FollowUpType = (typeof FOLLOW_UP_TYPES)[number];
export type UserMessageType = 'initial-request' | FollowUpType | 'unclassified';

/** One user message and what kind it is. */
export interface ClassifiedMessage {
  /** Id of the conversation. */
  conversation: string;
  user: string;
  /** Index of the message among the conversation's turns. */
  turn: number;
  type: UserMessageType;
  /** Length of the message. */
  characters: number;
  /** User messages of the conversation up to and with this one. */
  number: number;
  /** What the model said, where it was asked in words. */
  reply?: string;
  /** log p of each type's label, where it was asked by likelihood. */
  logprobs?: Record<FollowUpType, number>;
  /** What was subtracted from `logprobs` before the largest was taken; absent without calibration. */
  prior?: Record<FollowUpType, number>;
  /** Why there is no verdict, of `unclassified` ones. */
  problem?: string;
}

/** A user who gives meaningful feedback. */
export interface FeedbackUserRow {
  user: string;
  /** Messages behind the first of their conversations, of conversations that are not held out. */
  followUps: number;
  reAttemptsWithFeedback: number;
  /** `identity` of the model that was asked; absent where none was. */
  model?: string;
  /** What it said, where it was asked in words. */
  reply?: string;
  /** log p of each label, where it was asked by likelihood, and what was subtracted from it. */
  logprobs?: Record<'yes' | 'no', number>;
  prior?: Record<'yes' | 'no', number>;
}

/** What is known of one user, and from what. */
export interface PersonaRow {
  user: string;
  /** Up to five points on how the user wants answers, one a line. */
  persona: string;
  /** Conversations that it rests on, over all updates: whose messages were shown or had to be left out. */
  conversations: string[];
  /** User messages among them that were shown, and those left out for the token budget or as repeats. */
  messagesShown: number;
  messagesLeftOut: number;
  /** `identity` of the model. */
  model: string;
  /** What it was asked last, and what it said. */
  request: Message[];
  reply: string;
}

/** A previous answer made anew in the light of what the user said to it. */
export interface RewriteRow {
  /** `conversation:turn` of the follow-up. */
  id: string;
  user: string;
  conversation: string;
  /** Index of the follow-up among the conversation's turns. */
  turn: number;
  /** When the conversation began, where that is known. */
  time?: string;
  /**
   * How the rewrite was made: from the follow-up, from scratch without it, for a synthesized math conversation; or that
   * it is the log's own next answer.
   */
  source: 'rewrite' | 'scratch' | 'math' | 'logged';
  /** The context of both answers: everything before the original answer. */
  prompt: Message[];
  original: string;
  followUp: string;
  rewrite: string;
  /** The persona that the model saw while rewriting and that the pair will carry; absent for none. */
  persona?: string;
  /** `identity` of the model, what it was asked (nothing, of a logged answer), and how its reply ended. */
  model: string;
  request: Message[];
  finishReason: 'stop' | 'length' | 'filtered';
}

/** A user message that the policy is to answer, in its context. */
export interface PromptRow {
  /** `conversation#turn` of the message. */
  id: string;
  user: string;
  conversation: string;
  /** Index of the message among the conversation's turns. */
  turn: number;
  /** When the conversation began, where that is known. */
  time?: string;
  type: UserMessageType;
  /** The conversation up to and with the message. */
  prompt: Message[];
  /** What is known of the user; absent for nothing. */
  persona?: string;
}

/** One answer of several to a prompt. */
export interface Candidate {
  text: string;
  /** Numbers of the draws that gave it, from 0: several where it came more than once. */
  draws: number[];
  finishReason: 'stop' | 'length' | 'filtered';
}

/** Different answers of the policy to one prompt. */
export interface CandidatesRow extends PromptRow {
  candidates: Candidate[];
  /** `identity` of the model, and what it was asked. */
  model: string;
  request: Message[];
}

/** Whether a reward model sees the persona (section 2.4), or does not (the baseline of section 3.3). */
export const REWARD_KINDS = ['user-based', 'user-agnostic'] as const;
export type RewardKind = (typeof REWARD_KINDS)[number];

export interface RankedCandidate extends Candidate {
  /** By each kind that was asked for. */
  rewards: Partial<Record<RewardKind, number>>;
}

/** The answers to one prompt with all their rewards. */
export interface RankingRow extends Omit<CandidatesRow, 'candidates'> {
  candidates: RankedCandidate[];
  /** The rewards that decide. */
  rewards: RewardKind;
  /** `identity` of the reward model. */
  scorer: string;
}
