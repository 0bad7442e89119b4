// All 13 operations and the usual refusals with openapi-fetch, typed by what openapi-typescript made of the description.
import createClient from "openapi-fetch";
import type { components, paths } from "./made/paths";
import { faultyTimes, key, must, url } from "./sandbox";

type Refusal = components["schemas"]["ErrorResponse"];

const client = createClient<paths>({ baseUrl: url, headers: { "x-api-key": key } });
const stranger = createClient<paths>({ baseUrl: url, headers: { "x-api-key": "not-a-key" } });

const codeOf = (refusal: Refusal | undefined): string | null | undefined => refusal?.errors?.[0]?.code;

async function main(): Promise<void> {
  must((await client.GET("/v1/auth/validate-key")).data?.status, "success");
  const accounts = await client.GET("/v1/accounts");
  const accountId: number = must(accounts.data?.accounts?.[0]?.id);
  must(accounts.data?.accounts?.[0]?.accountType);
  const zones = await client.GET("/v1/accounts/timezones");
  const timezone: string = must(zones.data?.timezones?.[0]?.timezone);

  const source = await client.POST("/v1/data-sources", { body: { title: "ERP", accountId, timezone } });
  const dataSourceId: number = must(source.data?.id);
  const sources = await client.GET("/v1/accounts/{accountId}/data-sources", { params: { path: { accountId } } });
  must(sources.data?.dataSources?.some((each) => each.id === dataSourceId), true);

  const body = { title: "Invoices", dataSourceId, primaryKeys: ["id"] };
  const datasetId: string = must((await client.POST("/v1/datasets", { body })).data?.id);
  const path = { params: { path: { datasetId } } };
  const inSource = { params: { path: { dataSourceId } } };
  const datasets = await client.GET("/v1/data-sources/{dataSourceId}/datasets", inSource);
  must(datasets.data?.datasets?.[0]?.title, "Invoices");

  const records = [{ id: 1, total: 9.5, day: "2025-10-01", note: null }];
  const receipt = await client.POST("/v1/datasets/{datasetId}/data", { ...path, body: { records } });
  const ingestionId: string = must(receipt.data?.ingestionId);
  const outcome = await client.GET("/v1/datasets/{datasetId}/ingestions/{ingestionId}", {
    params: { path: { datasetId, ingestionId } },
  });
  must(outcome.data?.metrics?.ingestionMetrics?.appendedRecordsCount, 1);
  const page = await client.GET("/v1/datasets/{datasetId}/ingestions", {
    params: { path: { datasetId }, query: { page: 1, pageSize: 10 } },
  });
  must(page.data?.ingestions?.[0]?.ingestionId, ingestionId);
  must(page.data?.pagination?.totalItems, 1);

  must(codeOf((await stranger.GET("/v1/auth/validate-key")).error), "invalid_api_key");
  const unknown = { params: { path: { datasetId: "00000000-0000-4000-8000-000000000000" } } };
  const missing = await client.POST("/v1/datasets/{datasetId}/purge", unknown);
  must(missing.response.status, 404);
  must(codeOf(missing.error), "not_found");
  await faultyTimes("create_ingestion", 413);
  const large = await client.POST("/v1/datasets/{datasetId}/data", { ...path, body: { records } });
  must(codeOf(large.error), "request_too_large");
  await faultyTimes("list_ingestions", 429);
  const limited = await client.GET("/v1/datasets/{datasetId}/ingestions", path);
  must(codeOf(limited.error), "rate_limited");

  must((await client.POST("/v1/datasets/{datasetId}/purge", path)).data?.status);
  must((await client.DELETE("/v1/datasets/{datasetId}", path)).data?.status);
  must((await client.DELETE("/v1/data-sources/{dataSourceId}", inSource)).data?.status);
}

void main();
