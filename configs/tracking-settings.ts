import { z } from 'zod';

/** Where a run is logged besides its folder: the `tracking.*` keys of a configuration. */
export const trackingSettings = z.strictObject({
  mlflow: z
    .string()
    .default('')
    .refine((url) => !url || isPlainUrl(url), {
      message:
        'an http(s) URL without user and password is wanted: those come from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD',
    })
    .describe(
      'URL of an MLflow server to log to, as http://localhost:5000; credentials come from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN',
    ),
  experiment: z.string().min(1).default('rec').describe('the MLflow experiment; made where it is missing'),
});

export type TrackingSettings = z.output<typeof trackingSettings>;

/** A configuration is written into the run: it must hold no credentials. */
function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && !username && !password;
}
