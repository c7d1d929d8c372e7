-- What the SQLite plugin of Mosquitto 2.1 leaves, by its schema 1.1; the file beside it is made of this:
-- sqlite3 mosquitto-2.1.sqlite3 < mosquitto-2.1.sql
-- Small pages, so that rows overflow and tables have several pages.
PRAGMA page_size=512;
PRAGMA journal_mode=WAL;
CREATE TABLE base_msgs (store_id INT64 PRIMARY KEY,expiry_time INT64,topic STRING NOT NULL,payload BLOB,source_id STRING,source_username STRING,payloadlen INTEGER,source_mid INTEGER,source_port INTEGER,qos INTEGER,retain INTEGER,properties STRING);
CREATE TABLE retains (topic STRING PRIMARY KEY,store_id INT64);
CREATE TABLE clients (client_id TEXT PRIMARY KEY,username TEXT,connection_time INT64,will_delay_time INT64,session_expiry_time INT64,listener_port INT,max_packet_size INT,max_qos INT,retain_available INT,session_expiry_interval INT,will_delay_interval INT);
CREATE TABLE subscriptions (client_id TEXT NOT NULL,topic TEXT NOT NULL,subscription_options INTEGER,subscription_identifier INTEGER,PRIMARY KEY (client_id, topic) );
CREATE TABLE client_msgs (client_id TEXT NOT NULL,store_id INT64,dup INTEGER,direction INTEGER,mid INTEGER,qos INTEGER,retain INTEGER,state INTEGER);
CREATE INDEX client_msgs_client_id ON client_msgs(client_id);
ALTER TABLE client_msgs ADD COLUMN cmsg_id INT64;
ALTER TABLE client_msgs ADD COLUMN subscription_identifier INT;
CREATE TABLE version_info (component TEXT NOT NULL,major INTEGER NOT NULL,minor INTEGER NOT NULL,patch INTEGER NOT NULL);
INSERT INTO version_info VALUES ('database_schema',1,1,0);
CREATE TABLE wills (client_id TEXT PRIMARY KEY,payload BLOB,topic STRING NOT NULL,payloadlen INTEGER,qos INTEGER,retain INTEGER,properties STRING);
-- Two retained messages (one topic looks like a number), one long, one QoS 2 message not released.
INSERT INTO base_msgs VALUES (7,0,'r/1',x'6b657074','pub',NULL,4,1,1883,1,1,NULL);
INSERT INTO base_msgs VALUES (8,1795374030,'1234',x'fffe','pub',NULL,2,2,1883,1,1,NULL);
INSERT INTO base_msgs VALUES (9,0,'a/long',zeroblob(1000),'pub',NULL,1000,3,1883,1,0,'[{"identifier":"content-type","value":"text/plain"},{"identifier":"correlation-data","value":"ff00"},{"identifier":"user-property","name":"k","value":"v"}]');
INSERT INTO base_msgs VALUES (10,0,'a/2',x'32','pub',NULL,1,4,1883,2,0,NULL);
INSERT INTO base_msgs VALUES (11,0,'a/held',x'6e6f','pub',NULL,2,9,1883,2,0,NULL);
INSERT INTO retains VALUES ('r/1',7),('1234',8);
INSERT INTO clients VALUES ('away',NULL,0,0,1795374029,1883,0,2,1,100000,0);
INSERT INTO clients VALUES ('old','user',0,0,0,1883,0,2,1,-1,0);
INSERT INTO clients VALUES ('pub',NULL,0,1795274060,1795374029,1883,0,2,1,100000,30);
INSERT INTO clients VALUES ('brief',NULL,0,0,0,1883,0,2,1,0,0);
INSERT INTO subscriptions VALUES ('away','a/#',14,7),('away','$share/g/s/+',1,0),('brief','b',0,0);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<40) INSERT INTO subscriptions SELECT 'old','filter/number/'||i,1,0 FROM n;
-- Sent and waiting for PUBREC, a retained message that came later, QoS 0; a release; not released.
INSERT INTO client_msgs (client_id,cmsg_id,store_id,dup,direction,mid,qos,retain,state,subscription_identifier) VALUES ('away',1,10,0,1,5,2,0,5,7),('away',2,7,0,1,6,1,1,11,0),('away',3,9,0,1,0,0,0,11,0),('old',1,9,0,1,1,1,0,11,0),('old',2,10,0,1,2,1,0,9,0),('pub',1,11,0,0,9,2,0,7,0);
INSERT INTO wills VALUES ('pub',x'627965','gone',3,1,0,'[{"identifier":"message-expiry-interval","value":60}]'),('brief',x'627965','gone/2',3,0,1,NULL);
