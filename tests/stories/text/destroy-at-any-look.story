*Destroy* works at any moment, also half-way through a deployment

the cloud is quick
# Of a whole life: before the first look, before users, while they come, and again while it goes.
ana starts emr-next at 5 %
wait until emr-next is serving
30 s pass
ana sets emr-next to 10 %
30 s pass
ana destroys emr-next
wait until emr-next is destroyed
and the end is the same whenever ana destroys

----------------------------------------
     0.0 s  Ana started "emr-next": canary and baseline are to get 5 % each.
     0.0 s  The files are being uploaded.
     0.0 s  Arya created the temporary bucket.
     0.0 s  Arya created the app security group.
     0.0 s  Arya created the monitor security group.
     0.0 s  Arya created the baseline target group.
     0.0 s  Arya created the canary target group.
     0.3 s  Arya began to upload file aaaaaaaaaaaa.
     0.3 s  Arya began to upload file bbbbbbbbbbbb.
     0.3 s  Arya began to upload file cccccccccccc.
     0.3 s  Arya launched the baseline instance.
     0.3 s  Arya launched the canary instance.
     0.3 s  Arya launched the monitor instance.
     0.6 s  The baseline instance has fetched its files (0.3 s after its start).
     0.6 s  The canary instance has fetched its files (0.3 s after its start).
     0.6 s  The monitor instance has fetched its files (0.3 s after its start).
     0.6 s  The files are up; the instances are being made ready.
     0.9 s  The baseline instance is warmed up and ready (0.6 s after its start).
     0.9 s  The canary instance is warmed up and ready (0.6 s after its start).
     0.9 s  The monitor instance is warmed up and ready (0.6 s after its start).
     0.9 s  The apps run; no user reaches them yet.
     0.9 s  Arya registered the baseline instance in the baseline target group.
     0.9 s  Arya registered the canary instance in the canary target group.
     1.2 s  Arya created the probe rule at priority 49999.
     1.8 s  Arya began: the canary gets 5 % of matching traffic, the baseline 5 %.
     1.8 s  Arya created the main rule at priority 50000.
     2.1 s  Our main rule stands on the listener: canary and baseline get 5 % each.
     2.1 s  Users reach baseline and canary now.
    32.1 s  Ana set the canary share to 10 % (before: 5 %).
    32.1 s  Arya changed the weights of the main rule.
    32.4 s  Our main rule stands on the listener: canary and baseline get 10 % each.
    62.1 s  Ana asked for everything of ours to be removed.
    62.1 s  Everything of ours is being removed.
    62.1 s  Arya deleted the main rule.
    62.1 s  Arya deleted the probe rule.
    62.4 s  Arya took the baseline instance out of the baseline target group.
    62.4 s  Arya took the canary instance out of the canary target group.
    62.4 s  Arya terminated the monitor instance.
    62.7 s  No new requests reach our instances; those they have are being finished.
    66.6 s  Arya deleted the baseline target group.
    66.6 s  Arya deleted the canary target group.
    66.6 s  Arya terminated the baseline instance.
    66.6 s  Arya terminated the canary instance.
    66.9 s  Arya deleted the app security group.
    66.9 s  Arya deleted the monitor security group.
    66.9 s  Arya emptied and deleted the temporary bucket.
    67.5 s  Production is exactly as before: 0 differences.
----------------------------------------
emr-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
The listener, its rules, its groups and their targets: exactly as before.
The same whenever ana destroys: 88 lives.
