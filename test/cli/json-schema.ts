// docs/json.schema.json, and as much of JSON Schema as it uses. Stricter than a reader must be: a field that the schema
// does not name is wrong here, for it would be one that the documents do not have.
import { readFileSync } from 'node:fs';

export interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
}

const KNOWN = new Set('$schema title description $ref $defs type const enum pattern minimum properties'.split(' '));
for (const word of ['additionalProperties', 'required', 'items', 'oneOf']) KNOWN.add(word);

export const schema = JSON.parse(
  readFileSync(new URL('../../docs/json.schema.json', import.meta.url), 'utf8'),
) as Schema & { readonly $defs: Readonly<Record<string, Schema>> };

const typeOf = (value: unknown): string => {
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : value === null ? 'null' : typeof value;
};

/** Everything that is wrong with the value, each with its place. */
export function problems(value: unknown, of: Schema = schema, place = '$'): string[] {
  const unknown = Object.keys(of).filter((word) => !KNOWN.has(word));
  if (unknown.length > 0) throw new Error(`the checker does not know ${unknown}`);
  if (of.$ref !== undefined) return problems(value, schema.$defs[of.$ref.replace('#/$defs/', '')]!, place);
  const found: string[] = [];
  if (of.type !== undefined && typeOf(value) !== of.type) return [`${place} is no ${of.type}`];
  if ('const' in of && value !== of.const) found.push(`${place} is not ${JSON.stringify(of.const)}`);
  if (of.enum && !of.enum.includes(value)) found.push(`${place} is none of ${of.enum}`);
  if (of.pattern !== undefined && !new RegExp(of.pattern).test(value as string)) found.push(`${place} does not match`);
  if (of.minimum !== undefined && (value as number) < of.minimum) found.push(`${place} is less than ${of.minimum}`);
  if (of.items)
    for (const [i, item] of (value as unknown[]).entries()) found.push(...problems(item, of.items, `${place}[${i}]`));
  for (const name of of.required ?? []) if (!(name in (value as object))) found.push(`${place} has no ${name}`);
  if (of.properties ?? of.additionalProperties) {
    for (const [name, field] of Object.entries(value as object)) {
      const rule = of.properties?.[name] ?? of.additionalProperties;
      if (rule === undefined) found.push(`${place} has ${name}, which the schema does not know`);
      else found.push(...problems(field, rule, `${place}.${name}`));
    }
  }
  if (of.oneOf) {
    const fits = of.oneOf.map((one) => problems(value, one, place));
    const number = fits.filter((list) => list.length === 0).length;
    // The one that came nearest says what is wrong.
    if (number === 0) found.push(...fits.sort((a, b) => a.length - b.length)[0]!);
    if (number > 1) found.push(`${place} fits ${number} of the alternatives`);
  }
  return found;
}

/** Every line as an object, and what is wrong with any of them. */
export function checkLines(text: string): { readonly objects: Record<string, unknown>[]; readonly wrong: string[] } {
  const objects = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const wrong = objects.flatMap((object) => problems(object).map((problem) => `${problem}: ${JSON.stringify(object)}`));
  return { objects, wrong };
}
