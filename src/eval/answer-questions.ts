/** Lets a model answer questions, one message each. */
import type { ChatModel, ChatRequest } from '../llm/chat-model.js';
import { askInOrder } from '../pairs/ask-in-order.js';
import type { StageProgress } from '../pairs/stage.js';

export interface AnswerQuestionsOptions {
  temperature: number;
  maxTokens: number;
  seed: number;
  signal?: AbortSignal;
  onProgress?: (progress: StageProgress) => void;
}

/** An answer, or why there is none. */
export type Answered = { text: string; problem?: undefined } | { text?: undefined; problem: string };

export interface AskedQuestion {
  id: string;
  question: string;
}

/** The requests that {@link answerQuestions} makes. */
export function questionRequests(
  questions: readonly AskedQuestion[],
  { temperature, maxTokens, seed }: AnswerQuestionsOptions,
): ChatRequest[] {
  return questions.map(({ id, question }) => ({
    id,
    messages: [{ role: 'user', content: question }],
    sampling: { temperature, maxTokens, seed },
  }));
}

/** Answers in the order of the questions. */
export async function answerQuestions(
  questions: readonly AskedQuestion[],
  model: ChatModel,
  options: AnswerQuestionsOptions,
): Promise<Answered[]> {
  const { signal, onProgress } = options;
  const answers: Answered[] = [];
  const asked = questionRequests(questions, options).map((request) => ({ subject: undefined, request }));
  for await (const { reply, error } of askInOrder(model, asked, signal === undefined ? {} : { signal })) {
    answers.push(error === undefined ? { text: reply.text } : { problem: error.message });
    onProgress?.({ done: answers.length, total: questions.length });
  }
  return answers;
}
