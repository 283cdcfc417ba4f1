/** Many requests to a chat model at once, their outcomes in the order of the requests. */
import type { LlmApiError } from '../errors.js';
import type { ChatModel, ChatReply, ChatRequest, GenerateCallOptions } from '../llm/chat-model.js';
import { createInOrder } from './in-order.js';

/** A request, and what it is about. */
export interface Question<Subject> {
  subject: Subject;
  request: ChatRequest;
}

/** What came of a question: a reply, or why there is none. */
export type Answered<Subject> = Question<Subject> &
  ({ reply: ChatReply; error?: undefined } | { reply?: undefined; error: LlmApiError });

/**
 * Asks the questions as fast as the model takes them. Outcomes that come early are kept until those before them are
 * there, so that the rows of a stage have the same order in every run.
 */
export async function* askInOrder<Subject>(
  model: ChatModel,
  questions: Iterable<Question<Subject>> | AsyncIterable<Question<Subject>>,
  options: GenerateCallOptions = {},
): AsyncGenerator<Answered<Subject>> {
  const asked = new Map<number, Question<Subject>>();
  const answered = createInOrder<Answered<Subject>>();

  async function* requests(): AsyncGenerator<ChatRequest> {
    let count = 0;
    for await (const question of questions) {
      asked.set(count++, question);
      yield question.request;
    }
  }

  for await (const { index, reply, error } of model.generate(requests(), options)) {
    const question = asked.get(index) as Question<Subject>;
    asked.delete(index);
    answered.put(index, error === undefined ? { ...question, reply } : { ...question, error });
    yield* answered.take();
  }
}
