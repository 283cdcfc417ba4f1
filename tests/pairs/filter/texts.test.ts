import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { feedbackTalk } from '../../../src/pairs/filter/feedback-talk.js';
import { orderToRewrite, repeatsFollowUp } from '../../../src/pairs/filter/follow-up-echo.js';
import { languageOf } from '../../../src/pairs/filter/language.js';
import { asksForLanguage, asksForMore } from '../../../src/pairs/filter/requests.js';
import { textChange } from '../../../src/pairs/filter/text-change.js';

const hundred = Array.from({ length: 100 }, (_, i) => `word${i}`);

describe('textChange', () => {
  it('is 0 for what differs in white space or compatible characters only', () => {
    expect(textChange('One two.\n\nThree four.', '  One   two.\nThree four.\n')).toBe(0);
    expect(textChange('ﬁne', 'fine')).toBe(0);
    expect(textChange('', '')).toBe(0);
  });

  it('is 1 for texts that share nothing', () => {
    expect(textChange('yes', 'no')).toBe(1);
    expect(textChange('one two three', 'four five')).toBe(1);
  });

  it('of one word in a hundred is about 0.02', () => {
    const other = hundred.with(50, 'else');
    expect(textChange(hundred.join(' '), other.join(' '))).toBeCloseTo(2 / 101, 10);
  });

  it('sees case, order, marks and line breaks', () => {
    const text = 'First this. Then that. At last those.';
    for (const other of [
      text.toUpperCase(),
      'Then that. First this. At last those.',
      '- First this.\n- Then that.\n- At last those.',
      'First this.\nThen that.\nAt last those.',
      'First this! Then that! At last those!',
    ]) {
      expect(textChange(text, other), other).toBeGreaterThan(0.05);
    }
  });

  it('lies between 0 and 1, is the same both ways, and 0 for a text with itself', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        const change = textChange(a, b);
        expect(change >= 0 && change <= 1).toBe(true);
        expect(textChange(b, a)).toBeCloseTo(change, 12);
        expect(textChange(a, a)).toBe(0);
      }),
    );
  });
});

describe('an answer that is the follow-up over again', () => {
  it.each([
    ['I still do not understand', 'I still do not understand.'],
    ['i still don’t understand!!', '"I still don\'t understand"'],
    ['make it shorter', 'Make it *shorter*!'],
    ['make it shorter', 'Sure! Make it shorter.'],
    ['shorter', 'The message: "shorter"'],
    ['shorter', 'Here is what was asked for:\n\nShorter.'],
    ['now for a child of five', 'Rewrite it to: "Now for a child of five".'],
    ['can you say that in simple words please', 'Can you say that in simple words, please? Thank you.'],
    ['用法语', '「用法语」'],
  ])('%j: %j', (followUp, answer) => {
    expect(repeatsFollowUp(followUp, answer)).toBe(true);
  });

  it.each([
    ['shorter', 'Shorter days come in autumn.'],
    ['which is the longest river', 'The longest river is the Nile.'],
    ['just say I am sorry for the delay', 'I am sorry for the delay.'],
    [
      'more about cats',
      'Cats sleep a lot. There is more about cats to say: they purr, they hunt, they climb trees.',
    ],
    ['!!', 'What is wrong?'],
    ['no, blue', 'Blue is the colour that you want.'],
  ])('not %j: %j', (followUp, answer) => {
    expect(repeatsFollowUp(followUp, answer)).toBe(false);
  });

  it('or an order to rewrite, by how it begins', () => {
    expect(orderToRewrite('Rewrite this answer to: "shorter"')).toBe('rewrite this answer');
    expect(orderToRewrite('Please rephrase your last response so that it rhymes.')).toBeDefined();
    expect(orderToRewrite('Rewrite the first chapter, then the second.')).toBeUndefined();
    expect(orderToRewrite('To rewrite this text, take a pen.')).toBeUndefined();
  });
});

describe('feedbackTalk', () => {
  it.each([
    ["Thank you for your feedback! Here's the text.", 'Thank you for your feedback'],
    ['Thanks for pointing that out. The answer is 4.', 'Thanks for pointing'],
    ['I apologize for the confusion. Paris is in France.', 'I apologize for the'],
    ['Sorry about that — my apologies for the error. It is 12.', 'my apologies for the'],
    ["You're absolutely right, it is 12.", "You're absolutely right"],
    ['You’re right! It is 12.', "You're right"],
    ['Based on your feedback, I would choose red.', 'Based on your feedback'],
    ['As you requested, a poem about rain:', 'As you requested'],
    ['As requested, a poem about rain:', 'As requested'],
    ["Here's a shorter version of the text:\n\nRain falls.", "Here's a shorter"],
    ['Sure! Here is the revised response:\n\nRain falls.', 'Here is the revised'],
    ['**Revised Response:**\n\nRain falls.', 'Revised Response'],
    ['In my previous answer the sum was wrong. It is 12.', 'my previous answer'],
    ['This message is asking for one sentence.', 'This message is asking'],
    ['I will keep about the same length, but more concise.', 'I will keep about the same length'],
    ["I'll make sure to keep the message short.", "I'll make sure to keep the message short"],
    ['I rewrote the text to be warmer.', 'I rewrote the'],
    ["Following the user's suggestions, it is red.", "Following the user's suggestions"],
    ["I've added some numbers: 1, 2, 3.", "I've added some"],
    [`${hundred.join(' ')} I hope this updated list is better for you!`, 'hope this updated list is better'],
    [`${'Filler sentence. '.repeat(60)}I have removed the jokes.`, 'I have removed the'],
  ])('hears %s', (rewrite, words) => {
    expect(feedbackTalk(rewrite, 'Something else entirely.')).toBe(words);
  });

  it.each([
    'Rain falls on the roof and on the road.',
    'The previous king had revised the law, and the people were asked to obey.',
    'Sure, here is a poem about rain.',
    'I will meet her at noon, and I will have the message in her bag.',
    'Based on the input, the function returns a list.',
    'As suggested by Newton, light has colours.',
    'I made a cake and added the sugar at the end.',
    'Here are the ten largest cities of Spain.',
    'The right answer is 12, because 3 times 4 is 12.',
    `${'Filler sentence. '.repeat(60)}He said: I apologize for the delay. ${'Filler sentence. '.repeat(60)}`,
  ])('does not hear it in: %s', (rewrite) => {
    expect(feedbackTalk(rewrite, 'Something else entirely.')).toBeUndefined();
  });

  it('lets pass what the original says, too', () => {
    const letter = 'Dear Ms Ito,\nI apologize for the late reply.';
    expect(feedbackTalk(`${letter} It was my fault.`, letter)).toBeUndefined();
    expect(feedbackTalk(`${letter} It was my fault.`, 'Dear Ms Ito, sorry.')).toBe('I apologize for the');
  });
});

const TEXTS = {
  English: 'The cat is on the roof and it will not come down, so you have to go up there with a ladder.',
  Spanish:
    'El gato está en el tejado y no quiere bajar, así que tienes que subir con una escalera para los dos.',
  French:
    'Le chat est sur le toit et il ne veut pas descendre, vous devez donc monter avec une échelle pour les deux.',
  German:
    'Die Katze ist auf dem Dach und will nicht herunter, also musst du mit einer Leiter zu ihr und sie holen.',
  Italian: 'Il gatto è sul tetto e non vuole scendere, ma si può anche salire con una scala per il gatto.',
  Portuguese:
    'O gato está no telhado e não quer descer, mas você pode também subir com uma escada para os dois.',
  Dutch:
    'De kat zit op het dak en wil niet naar beneden, dus je kan met een ladder naar het dak om ze te halen.',
  Swedish: 'Katten är på taket och vill inte komma ner, så du kan gå upp med en stege för att hämta den.',
  Polish: 'Kot jest na dachu i nie chce zejść, więc można się do niego dostać, ale to jest trudne dla nas.',
  Turkish:
    'Kedi çatıda ve aşağı inmek için bir merdiven gerekli, ama bu çok zor olarak görülüyor ve en iyi yol bu.',
  Indonesian: 'Kucing itu ada di atap dan tidak mau turun, jadi anda dapat naik dengan tangga untuk dia.',
  Vietnamese: 'Con mèo ở trên mái nhà và không muốn xuống, bạn được phép lên với một cái thang cho nó.',
  Romanian: 'Pisica este pe acoperiș și nu vrea să coboare, dar se poate urca cu o scară pentru ea.',
  Czech: 'Kočka je na střeše a nechce se vrátit, ale může být také dole, protože to je pro nás jako hra.',
  Cyrillic: 'Кошка сидит на крыше и не хочет спускаться вниз.',
  Greek: 'Η γάτα είναι στη στέγη και δεν θέλει να κατέβει.',
  Arabic: 'القطة على السطح ولا تريد النزول إلى الأسفل.',
  Hebrew: 'החתול על הגג ולא רוצה לרדת למטה עכשיו.',
  Devanagari: 'बिल्ली छत पर है और नीचे नहीं आना चाहती है।',
  Thai: 'แมวอยู่บนหลังคาและไม่อยากลงมาข้างล่าง',
  Korean: '고양이가 지붕 위에 있고 내려오고 싶어하지 않습니다. 사다리가 필요합니다.',
  Japanese: '猫は屋根の上にいて、降りたがりません。はしごが必要です。',
  Chinese: '猫在屋顶上，不想下来，所以你需要用梯子上去把它带下来，请小心一点。',
};

describe('languageOf', () => {
  it.each(Object.entries(TEXTS))('tells %s', (language, text) => {
    expect(languageOf(text)).toBe(language);
  });

  it('says nothing where there is too little, or too much of everything, to tell by', () => {
    expect(languageOf('')).toBeUndefined();
    expect(languageOf('OK!')).toBeUndefined();
    expect(languageOf('x = 12345678901234567890 + y')).toBeUndefined();
    expect(languageOf('Anna Karenina, Madame Bovary, Effi Briest, Middlemarch')).toBeUndefined();
  });

  it('does not count code and addresses', () => {
    const code = '```python\nfor the in and_of: it = that if this else with_the\n```';
    expect(languageOf(`${TEXTS.German}\n${code.repeat(20)} https://the.and/of/it/is/that`)).toBe('German');
  });
});

describe('what follow-ups ask for', () => {
  it.each([
    'make it longer',
    'more details pls',
    'i said 2000+ words',
    'add examples',
    'Explain step by step',
  ])('more: %s', (text) => {
    expect(asksForMore(text)).toBe(true);
  });

  it.each(['shorter', 'no, in blue', 'wrong', 'be funny', 'the 2nd one'])('no more: %s', (text) => {
    expect(asksForMore(text)).toBe(false);
  });

  it('another language, by its name or by being in it', () => {
    expect(asksForLanguage('translate it please', 'German')).toBe(true);
    expect(asksForLanguage('auf Deutsch', 'German')).toBe(true);
    expect(asksForLanguage('en español', 'Spanish')).toBe(true);
    expect(asksForLanguage('короче', 'Cyrillic')).toBe(true);
    expect(asksForLanguage('kürzer, und nicht so förmlich', 'German')).toBe(true);
    expect(asksForLanguage('shorter', 'German')).toBe(false);
    expect(asksForLanguage('make it nice', 'Cyrillic')).toBe(false);
  });
});
