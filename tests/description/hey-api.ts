// All 13 operations and the usual refusals with the client that @hey-api/openapi-ts made of the description.
import { client } from "./made/hey-api/client.gen";
import * as api from "./made/hey-api/sdk.gen";
import type { ErrorResponse } from "./made/hey-api/types.gen";
import { faultyTimes, key, must, url } from "./sandbox";

client.setConfig({ baseUrl: url, auth: () => key });

const codeOf = (refusal: ErrorResponse | undefined): string | null | undefined => refusal?.errors?.[0]?.code;

async function main(): Promise<void> {
  must((await api.validateKey()).data?.status, "success");
  const accounts = await api.listAccounts();
  const accountId: number = must(accounts.data?.accounts?.[0]?.id);
  must(accounts.data?.accounts?.[0]?.accountType);
  const timezone: string = must((await api.listTimezones()).data?.timezones?.[0]?.timezone);

  const source = await api.createDataSource({ body: { title: "ERP", accountId, timezone } });
  const dataSourceId: number = must(source.data?.id);
  const sources = await api.listDataSources({ path: { accountId } });
  must(sources.data?.dataSources?.some((each) => each.id === dataSourceId), true);

  const made = await api.createDataset({ body: { title: "Invoices", dataSourceId, primaryKeys: ["id"] } });
  const datasetId: string = must(made.data?.id);
  must((await api.listDatasets({ path: { dataSourceId } })).data?.datasets?.[0]?.title, "Invoices");

  const records = [{ id: 1, total: 9.5, day: "2025-10-01", note: null }];
  const receipt = await api.createIngestion({ path: { datasetId }, body: { records } });
  const ingestionId: string = must(receipt.data?.ingestionId);
  const outcome = await api.getIngestion({ path: { datasetId, ingestionId } });
  must(outcome.data?.metrics?.ingestionMetrics?.appendedRecordsCount, 1);
  const page = await api.listIngestions({ path: { datasetId }, query: { page: 1, pageSize: 10 } });
  must(page.data?.ingestions?.[0]?.ingestionId, ingestionId);
  must(page.data?.pagination?.totalItems, 1);

  must(codeOf((await api.validateKey({ auth: () => "not-a-key" })).error), "invalid_api_key");
  const missing = await api.purgeDataset({ path: { datasetId: "00000000-0000-4000-8000-000000000000" } });
  must(missing.response?.status, 404);
  must(codeOf(missing.error), "not_found");
  await faultyTimes("create_ingestion", 413);
  must(codeOf((await api.createIngestion({ path: { datasetId }, body: { records } })).error), "request_too_large");
  await faultyTimes("list_ingestions", 429);
  must(codeOf((await api.listIngestions({ path: { datasetId } })).error), "rate_limited");

  must((await api.purgeDataset({ path: { datasetId } })).data?.status);
  must((await api.deleteDataset({ path: { datasetId } })).data?.status);
  must((await api.deleteDataSource({ path: { dataSourceId } })).data?.status);
}

void main();
