/** Requests and answers of the endpoints of files in contexts. */

import { EndpointRequest, texts } from "./request";
import { ExplainedResponse, ListResponse, numberOf, textOf, textsOf } from "./response";

/** A request of which the file is all there is to say. */
abstract class ContextFileRequest<Self> extends EndpointRequest<Self> {
  declare authorization: string;
  declare contextId: string;
  declare filePath: string;

  override getParams(): Record<string, unknown> {
    return texts({ contextId: this.contextId, filePath: this.filePath });
  }
}

/** An answer with a URL that grants access for a while. */
class FileUrlResponse extends ExplainedResponse {
  /** Until when. */
  getExpireTime(): string | undefined {
    return textOf(this.dataObject?.expireTime);
  }

  /** @internal */
  protected get url(): string | undefined {
    return textOf(this.dataObject?.url);
  }
}

/** Asks for a URL to read a file: `POST /sdk/GetContextFileDownloadUrl`. */
export class GetContextFileDownloadUrlRequest extends ContextFileRequest<GetContextFileDownloadUrlRequest> {}

/** The URL. */
export class GetContextFileDownloadUrlResponse extends FileUrlResponse {
  getDownloadUrl(): string | undefined {
    return this.url;
  }
}

/** Asks for a URL to write a file: `POST /sdk/GetContextFileUploadUrl`. */
export class GetContextFileUploadUrlRequest extends ContextFileRequest<GetContextFileUploadUrlRequest> {}

/** The URL. */
export class GetContextFileUploadUrlResponse extends FileUrlResponse {
  getUploadUrl(): string | undefined {
    return this.url;
  }

  getUploadUrlData(): { url?: string; expireTime?: string } | undefined {
    return this.dataObject && textsOf(this.dataObject, ["url", "expireTime"]);
  }
}

/** Deletes a file: `POST /sdk/DeleteContextFile`. */
export class DeleteContextFileRequest extends ContextFileRequest<DeleteContextFileRequest> {}

/** Was it deleted? */
export class DeleteContextFileResponse extends ExplainedResponse {}

/** Lists what lies directly in a folder: `POST /sdk/DescribeContextFiles`. */
export class DescribeContextFilesRequest extends EndpointRequest<DescribeContextFilesRequest> {
  declare authorization: string;
  declare contextId: string;
  /** By its full path; empty: the top. */
  declare parentFolderPath: string;
  /** From 1. */
  declare pageNumber: number;
  declare pageSize: number;

  override getParams(): Record<string, unknown> {
    const { contextId, parentFolderPath, pageNumber, pageSize } = this;
    return texts({ contextId, parentFolderPath, pageNumber, pageSize });
  }
}

/** A file of a list. */
export interface DescribeContextFilesItem {
  fileId?: string;
  fileName?: string;
  filePath?: string;
  fileType?: string;
  gmtCreate?: string;
  gmtModified?: string;
  /** Bytes. */
  size?: number;
  status?: string;
}

const FILE_TEXTS = ["fileId", "fileName", "filePath", "fileType", "gmtCreate", "gmtModified", "status"] as const;

/** A page of files. */
export class DescribeContextFilesResponse extends ListResponse {
  getFilesData(): DescribeContextFilesItem[] {
    return this.dataItems.map((item) => {
      const size = numberOf(item.size);
      return { ...textsOf(item, FILE_TEXTS), ...(size !== undefined && { size }) };
    });
  }

  getNextToken(): string | undefined {
    return textOf(this.member("nextToken"));
  }

  getMaxResults(): number | undefined {
    return numberOf(this.member("maxResults"));
  }

  getCount(): number | undefined {
    return numberOf(this.member("count"));
  }
}
